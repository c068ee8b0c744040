"""Losses: objects that are asked for one, and those that are written elsewhere or left unsaid."""

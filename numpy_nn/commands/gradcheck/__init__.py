"""The check of gradients on the command line."""

"""A network compared with its PyTorch twin, or a user's own with another, number by number."""

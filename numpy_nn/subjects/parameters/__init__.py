"""The parameters of code and their gradients, found."""

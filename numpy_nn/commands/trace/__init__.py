"""The page on which the backward pass of a small network is stepped through."""

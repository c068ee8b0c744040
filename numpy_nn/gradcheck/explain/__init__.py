"""From a wrong gradient to its cause."""

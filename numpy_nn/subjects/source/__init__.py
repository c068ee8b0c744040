"""What the source of code and the names around it tell."""

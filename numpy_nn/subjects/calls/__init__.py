"""How code wants to be called, and calling it so."""

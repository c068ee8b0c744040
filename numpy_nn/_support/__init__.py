"""What every room rests on and no reader needs: checks of arguments, kept arrays, and files."""

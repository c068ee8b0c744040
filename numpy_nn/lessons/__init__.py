"""What the lessons stand on, so that a notebook finds it wherever it was copied: options, MNIST, figures."""

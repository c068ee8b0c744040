"""MNIST, fetched from where it can be had."""

"""The commands of ``numpy-nn``, which the scripts of a checkout call too."""

"""The machine that a command runs on: its processors, the kernels of its BLAS, how many threads pay."""

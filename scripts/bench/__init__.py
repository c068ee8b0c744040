"""The parts of ``scripts/benchmark.py``: what is timed, by whom, how, on what machine, and how it is shown."""

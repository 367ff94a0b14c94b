"""Measurements beside peers, each in processes of its own: `python -m tests.benchmarks` lists them."""

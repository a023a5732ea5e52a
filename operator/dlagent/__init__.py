"""The DLAgent operator: deep-learning agents on Triton under a latency promise."""

__version__ = "0.1.0"

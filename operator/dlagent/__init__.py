"""The DLAgent operator: deep-learning agents on Triton under a latency promise."""

"""One command a benchmark, `make bench NAME=...`; each measures a baseline in the same run.

The last line of the output is one JSON object with the figures.
"""

"""The networks that the build's benchmarks optimise, with their data sets."""

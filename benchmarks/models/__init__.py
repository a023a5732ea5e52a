"""The networks that the benchmarks build or serve, those of the build with their data sets."""

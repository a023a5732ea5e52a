"""The data set of a build: how its examples are shared out."""

"""What the benchmark `tuner` is made of: the truth, and a Triton that is asked for it."""

"""What the benchmark `scaler` is made of: traffic, cases, their figures, and how they are shown."""

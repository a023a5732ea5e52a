"""What the benchmark `slo_live` consists of: the curve, the two scalers, a run, the picture."""

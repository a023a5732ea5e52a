"""Where a file can come from: one module a scheme behind the protocol of `base`."""

"""What a build measures of an artifact's speed, and how Triton's settings follow from it."""

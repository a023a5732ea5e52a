"""Python steps in the build: scripts of users as processes, and as members of an ensemble."""

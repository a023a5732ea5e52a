"""The autoscalers of other projects, as they document them: what a replay compares with.

`dlagent.replay.policies` makes them from what `--policy` says. Each module names the page and the
version that it follows; docs/explanation/baselines.md says the same for people.
"""

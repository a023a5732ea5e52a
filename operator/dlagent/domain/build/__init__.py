"""The decision about an agent's build Job: start, wait, record, try again."""

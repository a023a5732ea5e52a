"""Agents that run as they are; a folder each."""

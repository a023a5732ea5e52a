"""Which optimised versions of a network are tried, which go on being tried, and which one serves.

Pure: called by dlagent.build, which makes and measures what is decided here.
"""

"""A report for people: words, a picture, a page. Needs matplotlib and jinja2, but no torch.

Called by the build, which puts report.png and report.html beside report.json, and by
`dlagent report`, which makes them on the reader's machine.
"""

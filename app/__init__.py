"""The faces for people and machines: command line, live page, REST, metrics.

Reading order: `cli.py`, `commands/run.py`, `site.py`, `screen.py`, `web.py`, `metrics.py`.
Never imports `replay` or `training`: their verbs are found as entry points.
"""

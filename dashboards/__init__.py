"""Superset as code: three dashboards over the store's views, and one script that installs, starts and checks them.

Read `dash.py` (the jobs), then `generate.py` with `looks.py`, `operations.py`, `sales.py` and `quality.py` (what the
dashboards are), then `bootstrap.py` and `superset_config.py`, which run inside Superset's own environment. Product
code never imports this folder.
"""

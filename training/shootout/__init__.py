"""Which backbone, how deep to learn, and on which course of the rate? A table of runs with intervals, and what follows.

Reading order: `settings.py`, `run.py` (from photos to files), `outcome.py` (what the cells say together), `record.py`
(run.json), `tables.py` (cells.csv, scores.json), `wording.py` (sentences), `charts.py` and `report.py` (the page);
`command.py` is the verb, a study of `training/study_command.py`. What learns is in `training/classify/`.
Nothing here may import flask.
"""

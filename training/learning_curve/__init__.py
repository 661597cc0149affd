"""How much do more photos earn, and how many does a pretrained start save? Scores at growing shares of the photos.

Reading order: `settings.py`, `run.py` (which task, from a set to files), `photos.py` and `detection.py` (one point of a
curve each: a classifier of `training/classify/`, a detector of `training/finetune/`), `power_law.py` and `savings.py`
(what the points say together), `outcome.py`, `record.py`, `wording.py`, `charts.py` and `report.py` (the page);
`command.py` is the verb, a study of `training/study_command.py`. Nothing here may import flask.
"""

"""How well do models, layers and pooling kernels tell classes apart, and can a good one be picked cheaply?

Reading order: `settings.py`; `parts.py` (who is compared with whom), `fitting.py`, `nets.py`, `backbones.py` (the nets
and what they eat), `describers.py` (photos into vectors, all layers in one pass), `features.py` (kept on disk),
`metrics.py` (ranks, plausible errors, separation), `grid.py` (every setting, and what that costs), `picker.py` (a race
for a tenth of it), `run.py` (from photos to files) with `cards.py`, `record.py` and `outcome.py`. `charts.py`,
`shots.py` and `report.py` draw the page; `command.py` is the verb, a study of `training/study_command.py`. Nothing here
may import flask.
"""

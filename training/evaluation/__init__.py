"""How good a detector is: scores, calibration, confusions, whole pictures right, and a report that shows the errors.

Reading order: `scores.py` (all figures of a set), `matching.py` (the tables behind them), `figures.py` (their names),
then the maths: `coco_ap.py`, `voc_ap.py`, `thresholds.py` (F1), `calibration.py`, `confusion.py`, `stills.py` (cAcc),
`slices.py`, `intervals.py`. `run.py` is an evaluation from set to files, `command.py` the verb; `class_match.py` and
`predictions.py` bring models and sets together; `report.py` draws the page with `worst.py`, `pictures.py`, `charts.py`
and `wording.py`. The gate that compares two models is `models/gate.py`. Nothing here may import torch or flask.
"""

"""Which labels of a set are wrong: overlooked objects, swapped classes, badly placed boxes, each with a reason.

Read `finder.py` first (detections and labels in, ranked issues out), then `places.py` (detections pooled and matched)
and `existence.py`, `naming.py`, `placing.py` (one kind of issue each). Honest detections come from `crossfit.py`, which
alone imports torch; `folds.py` says which picture is in which fold. `report.py` and `command.py` are for people.
"""

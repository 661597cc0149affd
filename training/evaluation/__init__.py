"""How good a detector is: scores, calibration, confusions, whole pictures right, and a report that shows the errors.

Reading order: `scores.py` (all figures of a set), `coco_ap.py`, `voc_ap.py`, `thresholds.py` (F1), `calibration.py`,
`confusion.py`, `stills.py` (cAcc), `report.py` (HTML). The gate that compares two models is `models/gate.py`.
"""

"""The lab: how the shipped detector is made, as linear scripts over pure functions.

Reading order: `traynet.py` (the net), `assign.py`, `losses.py`, `synthetic_set.py` (the pictures), `augment.py`,
`train_traynet.py` (the run), `detection_scores.py`, `evaluate.py`, `export.py`, `command.py` (the verb `train`);
`checkpoint.py` and `provenance.py` keep what a run leaves behind. May import torch, never flask, and never a face.
"""

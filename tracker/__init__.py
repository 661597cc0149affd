"""Detections in, tracks out: one id per physical object for as long as it lies on the counter.

Reading order: `tracker.py` (the face), `engine.py` (the sentence: one frame), `settings.py`, `observations.py` (what a
frame says), `kalman.py` and `adaptation.py` (motion), `table.py` (all live tracks as arrays), `association.py` and
`matching.py` (who is who), `appearance.py`, `measuring.py` (pieces and wholes), `absence.py`, `occlusion.py` and
`edges.py` (why something is not seen), `group_motion.py` (trays), `sight.py`, then `flow.py` and its `flow_*.py`
(optical flow), `evidence.py` (what it is), `lifecycle.py` (states), `births.py`, `history.py` (a life), `explain.py`
(why), `mot.py` (the face for benchmarks).

This package may import `core`, numpy, scipy, cv2, filterpy and pydantic; never a neighbour (streams, models, store),
never torch or flask.
"""

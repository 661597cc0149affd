"""Detections in, tracks out: one id per physical object for as long as it lies on the counter.

Reading order: `tracker.py` (the sentence), `settings.py`, `observations.py` (what a frame says), `kalman.py`
(motion), `table.py` (all live tracks as arrays), `association.py` (who is who), `occlusion.py` and `edges.py` (why
something is not seen), `group_motion.py` (trays), `evidence.py` (what it is), `lifecycle.py` (states), `births.py`,
`mot.py` (the face for benchmarks).

This package may import `core`, numpy, scipy, filterpy and pydantic; never a neighbour (streams, models, store), never
torch or flask.
"""

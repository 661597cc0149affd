"""The lab of the dish embedder: it learns to tell dishes apart that it never saw.

Read `train.py` (the sentence of a run), then where its pictures come from: `made_up_dishes.py` and `views.py` (dishes
that nobody sells, as a lane would show them), `lane_crops.py` (the synthetic lane), `photos.py` (real photos); what
happens to them in `augmentation.py`; `net.py`, `losses.py`; what it is worth in `evaluation.py`; `ship.py`.
It may import nothing from app or replay.
"""

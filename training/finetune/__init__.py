"""Transfer learning: any detector, fine-tuned on a few hundred pictures.

Reading order: `settings.py`, `detectors.py` (the nets), `transfer.py` and `freezing.py` (what is kept of others),
`augmentations.py`, `sampling.py` and `loader.py` (what is seen, in which order), `rates.py`, `schedules.py`, `ema.py`,
`overfit.py` (the gate before a run), `loop.py` (the run, from top to bottom), `checkpoints.py`, `distributed.py`,
`run_record.py`. May import torch, never flask.
"""

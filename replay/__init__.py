"""Recordings through the same pipeline as a lane: outputs, figures, report.

Reading order: `run.py` (one recording, start to end), `observe.py` (frames through the pipeline), `truth.py`,
`matching.py`, `metrics.py`, `score.py`, `writers.py`, `report.py` with `charts.py`, `command.py` (the verb).
May never import `app`, flask or torch.
"""

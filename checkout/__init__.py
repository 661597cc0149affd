"""One lane end to end: zones, menu, basket, policy, and the pipeline and lane that run them.

Reading order: `pipeline.py` (the sentence), `zones.py`, `menu.py`, `presence.py`, `basket.py`, `policy.py`,
`identity.py`, `returning.py`, `lines.py`, `departure.py`, `lane.py`, `health.py`, `config.py`, `build.py` (the only
file that names concrete classes), `overlay.py`. May never import torch, flask, `app`, `replay` or `training`.
"""

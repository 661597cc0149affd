"""The nouns of the house: records, boxes, errors, clock, settings base.

Reading order: `records.py`, `errors.py`, `boxes.py`, `clock.py`, `settings.py`, `files.py`, `redact.py`.
May import numpy and pydantic only, and nothing that lies above it.
"""

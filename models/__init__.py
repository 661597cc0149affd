"""Detectors: what a model is (its card), how it is run, and how its numbers become detections.

Reading order: `detector.py` (the seam), `settings.py`, `card.py`, `letterbox.py`, `decoders.py`, `suppression.py`,
`device.py`, `session.py`, `openvino_session.py`, `runtimes.py`, `ort_detector.py` (all of it together), `batching.py`,
`bare_onnx.py`.
Shipped model cards live in `cards/`. Never imports flask, nor torch: the edge runs ONNX alone.
"""

"""Detectors: what a model is (its card), how it is run, and how its numbers become detections.

Reading order: `detector.py` (the seam), `settings.py`, `card.py`, `letterbox.py`, `candidates.py`, `decoders.py`,
`anchor_decoders.py`, `suppression.py`, `items.py`, `device.py`, `session.py`, `openvino_session.py`, `runtimes.py`,
`second_stage.py`, `regions.py`, `two_stage.py` (Faster R-CNN), `ort_detector.py` (all of it together), `batching.py`,
`bare_onnx.py`; then `registry.py`, `promotions.py`, `gate.py`.
Shipped model cards live in `cards/`. Never imports flask, nor torch: the edge runs ONNX alone.
"""

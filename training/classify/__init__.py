"""Classifiers for the studies that compare ways to learn: pictures in, which share of unseen ones is called right out.

Reading order: `pictures.py` (a labelled set: which classes, which photos are the test part), `zoo.py` with `trunks.py`
(which nets there are, and where their weights lie), `nets.py` (a trunk with a new head: pretrained or from nothing),
`pixels.py` (photos as arrays; what happens to them in training), `learning.py` (the loop, a pure function of seed and
step), `range_test.py` (which rate), `cells.py` (one cell of a study, kept on disk under a hash of all it depends on),
`statistics.py` (from seeds and photos to intervals). Used by `training/shootout/` and `training/learning_curve/`.
Nothing here may import flask.
"""

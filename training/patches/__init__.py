"""What is in a picture, from patches of many sizes: sampled, described by a fixed backbone, judged by a small head.

After Oquab et al., "Learning and Transferring Mid-Level Image Representations using CNNs" (CVPR 2014), written anew.

Reading order: `sampling.py` (which patches, what each is called), `features.py` (a vector for each, kept on disk),
`head.py` (the net above them), `training.py` (its run: rounds, checkpoints, resume), `scores.py` (from patches to a
picture's score, mAP and intervals), `tasks.py` (what the two heads learn), `run.py` (the study from set to files) with
`record.py` and `outcome.py`; `looking.py` judges other pictures. `heat_maps.py`, `charts.py` and `report.py` draw the
page; `command.py` is the verb, a study of `training/study_command.py`. Nothing here may import flask.
"""

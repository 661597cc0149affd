"""What is kept of a bill so that a person can see why it is what it is, and a machine can decide it again.

Reading order: `settings.py`, `journal.py` (everything that a policy was told), `camera_roll.py` (pictures worth
keeping), `packet.py` (the files of one bill), `archive.py` (where packets lie; sweeps, erases), `keeper.py` (writes
them while a lane runs), `rerun.py` (decides a bill again from its packet). Never imports flask or torch; never slows a
lane: the lane's own thread only hands records over.
"""

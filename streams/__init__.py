"""Where frames come from and how they travel: cameras, recordings, the synthetic lane, reconnecting, buffering.

Reading order: `source.py`, `timeline.py`, `av_source.py`, `reconnect.py`, `buffer.py`, `video_writer.py`, `factory.py`;
`synthetic/` is the demo camera and test oracle. May import core; never torch, flask, or another package of its floor.
"""

"""What pytest must not import: the RTSP camera runs under Debian's own Python, which has the GStreamer bindings."""

collect_ignore = ["rtsp_server.py"]

#!/usr/bin/python3
"""An RTSP camera for tests: serves an H.264 mp4 in a loop with GStreamer's RTSP server.

It runs as a child process under Debian's own Python (which has the GStreamer bindings); see `tests/cameras.py`.
It prints "ready PORT" when it can be connected to. What it shows depends on the wall clock alone (`--epoch`), as with a
real counter: a camera that was off for five seconds comes back five seconds later in the clip.
"""

import argparse
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

_ROLE = "viewer"


def load(path):
    """Return the clip's access units as (bytes, is key, duration in ns), in order. The clip has no B-frames."""
    pipeline = Gst.parse_launch(
        f'filesrc location="{path}" ! qtdemux ! h264parse config-interval=-1 '
        "! video/x-h264,stream-format=byte-stream,alignment=au ! appsink name=units sync=false"
    )
    sink = pipeline.get_by_name("units")
    pipeline.set_state(Gst.State.PLAYING)
    units = []
    while (sample := sink.emit("pull-sample")) is not None:
        buffer = sample.get_buffer()
        is_key = not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)
        units.append((buffer.extract_dup(0, buffer.get_size()), is_key, buffer.duration))
    pipeline.set_state(Gst.State.NULL)
    if not units:
        sys.exit(f"{path}: no H.264 in it")
    return units


class Camera(GstRtspServer.RTSPMediaFactory):
    """One camera: all its viewers share one stream."""

    def __init__(self, units, epoch_s):
        super().__init__()
        self._units, self._epoch_s = units, epoch_s
        self._step_s = units[0][2] / Gst.SECOND
        self.set_shared(True)
        self.set_launch(
            "( appsrc name=units is-live=true format=time block=false max-bytes=4000000 "
            "caps=video/x-h264,stream-format=byte-stream,alignment=au ! h264parse ! rtph264pay name=pay0 pt=96 "
            "config-interval=-1 )"
        )

    def do_configure(self, media):
        """Start to feed a new stream (called when the first viewer comes)."""
        source = media.get_element().get_by_name_recurse_up("units")
        threading.Thread(target=self._feed, args=(source,), daemon=True).start()

    def _feed(self, source):
        number = int((time.time() - self._epoch_s) / self._step_s)
        while not self._units[number % len(self._units)][1]:
            number += 1
        first = number
        while True:
            due_s = self._epoch_s + number * self._step_s
            time.sleep(max(0.0, due_s - time.time()))
            payload, is_key, _ = self._units[number % len(self._units)]
            buffer = Gst.Buffer.new_wrapped(payload)
            buffer.pts = buffer.dts = int((number - first) * self._step_s * Gst.SECOND)
            buffer.duration = int(self._step_s * Gst.SECOND)
            if not is_key:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            if source.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            number += 1


def guard(server, camera, user, password):
    """Let only `user` in, by digest."""
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(2)  # GST_RTSP_AUTH_DIGEST
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", _ROLE)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role(_ROLE)
    permissions.add_permission_for_role(_ROLE, "media.factory.access", True)
    permissions.add_permission_for_role(_ROLE, "media.factory.construct", True)
    camera.set_permissions(permissions)


def main():
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--path", default="/cam")
    parser.add_argument("--epoch", type=float, default=0.0, help="wall-clock moment at which the clip begins")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    args = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(args.port))
    camera = Camera(load(args.clip), args.epoch)
    if args.user:
        guard(server, camera, args.user, args.password)
    server.get_mount_points().add_factory(args.path, camera)
    if server.attach(None) == 0:
        sys.exit(f"port {args.port} is taken")
    print("ready", server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()

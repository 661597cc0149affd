"""The web server of an appliance: waitress, with room for viewers, and without patience for those who stall.

waitress answers each request in one of its threads, so a stream (events, state, pictures) holds a thread for as long
as somebody watches. There are more threads than viewers are let in (`app/viewers.py`), so that the pages and the API
always find one. A viewer that does not read fills its buffer and then holds its thread for ever, as waitress waits
for it without a limit; here it waits `STALL_S` and then cuts the connection.
"""

from __future__ import annotations

import logging
import socket
import time

from flask import Flask
from waitress.channel import ClientDisconnected, HTTPChannel
from waitress.server import BaseWSGIServer, create_server

from app.api.services import VIEWERS

#: Threads that no stream can take.
SPARE_THREADS = 24
#: Give up a viewer's backlog beyond this, so that a slow viewer gets fresh pictures and not old ones.
BACKLOG_BYTES = 256 * 1024
#: A viewer with a full backlog that takes not one byte for so long is cut off.
STALL_S = 10.0
#: A request that is not whole after so long is given up: who sends a byte now and then must not hold a connection.
REQUEST_S = 60.0
#: The longest body: a photo of a dish. The API takes much less (`app/api/checking.py`).
BODY_BYTES = 16 * 1024 * 1024
_LOOK_S = 1.0


class ViewerChannel(HTTPChannel):  # type: ignore[misc] # waitress has no types
    """A connection that cuts a client off which does not read what it asked for, or never ends its request."""

    began_s: float | None = None

    def received(self, data: bytes) -> bool:
        """Take what came, as the parent does."""
        taken = bool(super().received(data))
        now_s = time.monotonic()
        if self.request is None:
            self.began_s = None
        elif self.began_s is None:
            self.began_s = now_s
        elif now_s - self.began_s > REQUEST_S:
            self.will_close = True
        return taken

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Wait until the backlog is small enough, as the parent does, but not for ever."""
        if self.total_outbufs_len <= self.adj.outbuf_high_watermark:
            return
        with self.outbuf_lock:
            _, failed = self._flush_exception(self._flush_some, do_close=False)
            while not failed and self.connected and self.total_outbufs_len > self.adj.outbuf_high_watermark:
                self.server.pull_trigger()
                self.outbuf_lock.wait(_LOOK_S)
                if time.time() - self.last_activity > STALL_S:
                    self._cut_off()
            if failed:
                # The main thread closes the connection; wait for it.
                self.server.pull_trigger()
                self.outbuf_lock.wait(_LOOK_S)

    def _cut_off(self) -> None:
        """End the connection; a mere flag would wait for a socket that never becomes writable.

        Raises:
            ClientDisconnected: always; it ends the request, as if the client had gone by itself.
        """
        self.will_close = True
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            logging.getLogger(__name__).debug("a stalled viewer went by itself")
        self.server.pull_trigger()
        raise ClientDisconnected


def make_server(application: Flask, listener: socket.socket) -> BaseWSGIServer:
    """Return the web server of an application, not running, on a socket that listens."""
    # A viewer that closes its page is no news.
    logging.getLogger("waitress").setLevel(logging.WARNING)
    server = create_server(
        application,
        sockets=[listener],
        threads=VIEWERS + SPARE_THREADS,
        outbuf_high_watermark=BACKLOG_BYTES,
        channel_timeout=60,
        max_request_body_size=BODY_BYTES,
        connection_limit=4 * (VIEWERS + SPARE_THREADS),
        ident="traylane",
        # `app/accounts/proxy.py` decides what a proxy's headers are worth.
        clear_untrusted_proxy_headers=False,
    )
    server.channel_class = ViewerChannel
    return server

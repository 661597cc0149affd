"""The start of `traylane run`: the pages' address is taken first, and nobody who connects early is turned away."""

import gc
import socket
from contextlib import closing

import pytest

from app.cli import main
from app.commands.run import listen
from checkout.web_settings import WebSettings
from core.errors import PortTaken


def test_who_connects_before_the_pages_are_ready_waits_for_them():
    with (
        closing(listen(WebSettings(port=0))) as listener,
        closing(socket.create_connection(listener.getsockname(), timeout=2)) as early,
    ):
        early.sendall(b"GET / HTTP/1.0\r\n\r\n")
        listener.settimeout(2)
        accepted, _ = listener.accept()
        with closing(accepted):
            assert accepted.recv(14) == b"GET / HTTP/1.0"


def test_a_second_start_on_the_same_port_is_refused_at_once():
    with closing(listen(WebSettings(port=0))) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken, match=f"cannot listen on 127.0.0.1:{port}"):
            listen(WebSettings(port=port))


def test_a_start_that_fails_leaves_the_garbage_collector_on(tmp_path):
    assert main(["run", "--config", str(tmp_path / "absent.yaml")]) == 2
    assert gc.isenabled()

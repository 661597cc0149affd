"""The table of bad sources: each ends in the right error, in time, with one line: what, where, what to do."""

import http.server
import os
import socket
import threading
import time
from contextlib import closing, contextmanager

import pytest

from core.clock import SystemClock
from core.errors import SourceEnded, SourceOpenError, SourceRefused, SourceTimeout, SourceUnusable
from streams.factory import make_source
from streams.source import SourceSettings
from tests.media import make_clip, make_sound, number_in

TIMEOUT_S = 1.0


def try_to_read(url):
    """Return how many frames came, the error that ended it, and how long it took."""
    source = make_source(SourceSettings(url=str(url), timeout_s=TIMEOUT_S), "1", SystemClock())
    began_s, count = time.monotonic(), 0
    try:
        source.open()
        while True:
            source.read()
            count += 1
    except (SourceOpenError, SourceTimeout, SourceEnded, SourceRefused, SourceUnusable) as err:
        return count, err, time.monotonic() - began_s
    finally:
        source.close()


def check(url, kind, words, count=0):
    """Assert the error's class, its words, its form, and that it came in time."""
    frames, err, took_s = try_to_read(url)
    text = str(err)
    assert type(err) is kind, text
    for word in words:
        assert word in text
    assert "\n" not in text
    assert ";" in text or "?" in text, f"no advice in: {text}"
    assert err.exit_code == 5
    assert frames == count
    assert took_s < TIMEOUT_S + 4
    assert "pa55" not in text
    assert "pa55" not in repr(err.__cause__), "a traceback would print the password"


def missing(folder):
    return folder / "none.mp4"


def empty(folder):
    (folder / "empty.mp4").touch()
    return folder / "empty.mp4"


def text(folder):
    (folder / "notes.mp4").write_text("this is a shopping list\n" * 100)
    return folder / "notes.mp4"


def noise(folder):
    (folder / "noise.mkv").write_bytes(bytes((i * i * 7919 >> 5) & 255 for i in range(50_000)))
    return folder / "noise.mkv"


def sound(folder):
    return make_sound(folder / "radio.m4a")


def index_lost(folder):
    clip = make_clip(folder / "cut.mp4", frames=100, index_first=False)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    return clip


def foreign_codec(folder):
    clip = make_clip(folder / "foreign.mp4", frames=20)
    clip.write_bytes(clip.read_bytes().replace(b"avc1", b"zz9z"))
    return clip


def pictures_destroyed(folder):
    clip = make_clip(folder / "hole.mp4", frames=20)
    content = clip.read_bytes()
    start = content.index(b"mdat") + 4
    clip.write_bytes(content[:start] + bytes(len(content) - start))
    return clip


FILES = [
    (missing, SourceOpenError, ["none.mp4", "no such file"]),
    (empty, SourceUnusable, ["empty.mp4", "the file is empty"]),
    (text, SourceUnusable, ["notes.mp4", "not a video"]),
    (noise, SourceUnusable, ["noise.mkv", "not a video"]),
    (sound, SourceUnusable, ["radio.m4a", "only sound"]),
    (index_lost, SourceUnusable, ["cut.mp4", "cut off before its index"]),
    (foreign_codec, SourceUnusable, ["foreign.mp4", "unknown video codec", "H.264"]),
    (pictures_destroyed, SourceUnusable, ["hole.mp4", "no picture in it can be decoded"]),
    (lambda folder: folder, SourceUnusable, ["this is a folder"]),
]


@pytest.mark.parametrize(("make", "kind", "words"), FILES, ids=lambda value: getattr(value, "__name__", ""))
def test_bad_file(tmp_path, make, kind, words):
    check(make(tmp_path), kind, words)


def test_file_without_the_right_to_read(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "secret.mp4", frames=3)
    clip.chmod(0)
    if os.access(clip, os.R_OK):
        pytest.skip("this user may read every file (root)")
    check(clip, SourceRefused, ["secret.mp4", "may not read it"])


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_truncated_file_plays_what_is_there_and_says_so(tmp_path, caplog, cut):
    clip = make_clip(tmp_path / "cut.mp4", frames=200, gop=10)
    content = clip.read_bytes()
    payload = content.index(b"mdat")
    clip.write_bytes(content[: payload + int((len(content) - payload) * cut)])
    frames, err, _ = try_to_read(clip)
    assert 20 < frames < 200
    assert type(err) is SourceEnded
    assert "cut off after" in str(err)
    assert any("cut off after" in record.message for record in caplog.records)


def test_whole_file_is_not_called_truncated(tmp_path):
    for b_frames in (0, 2):
        frames, err, _ = try_to_read(make_clip(tmp_path / f"{b_frames}.mp4", frames=41, b_frames=b_frames, sound=True))
        assert frames == 41
        assert "cut off" not in str(err)


def test_other_codecs_are_read(tmp_path):
    for codec, suffix in (("mpeg4", ".avi"), ("mjpeg", ".avi"), ("libx265", ".mkv"), ("libvpx", ".webm")):
        clip = make_clip(tmp_path / f"{codec}{suffix}", frames=5, codec=codec)
        source = make_source(SourceSettings(url=str(clip)), "1", SystemClock())
        source.open()
        assert [number_in(source.read().image) for _ in range(5)] == list(range(5)), codec
        source.close()


NO_CAMERA = [
    ("/dev/video77", SourceOpenError, ["/dev/video77", "no such camera"]),
    ("/dev/video77?video_size=640x360", SourceOpenError, ["no such camera"]),
    ("gopher2://host/1", SourceUnusable, ["gopher2://host/1", "not supported"]),
    ("rtsp://bob:pa55@no-such-host.invalid/1", SourceOpenError, ["rtsp://***@no-such-host.invalid/1", "host name"]),
]


@pytest.mark.parametrize(("url", "kind", "words"), NO_CAMERA)
def test_no_such_camera(url, kind, words):
    check(url, kind, words)


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_closed_port(scheme):
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    check(f"{scheme}://bob:pa55@127.0.0.1:{port}/cam", SourceOpenError, [f"***@127.0.0.1:{port}", "refused"])


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_host_that_never_answers(scheme):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        port = silent.getsockname()[1]
        check(f"{scheme}://bob:pa55@127.0.0.1:{port}/cam", SourceTimeout, [f":{port}", "no answer within 1 s"])


@contextmanager
def answering(status, body=b"<html>no video here</html>"):
    """Run a web server that gives every request the same answer; yields its port."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, SourceRefused, ["user and password"]),
        (403, SourceRefused, ["user and password"]),
        (404, SourceOpenError, ["404", "path"]),
        (500, SourceOpenError, ["the server answered"]),
        (200, SourceOpenError, ["not a video"]),
    ],
)
def test_http_answers(status, kind, words):
    with answering(status) as port:
        check(f"http://bob:pa55@127.0.0.1:{port}/live", kind, [f"http://***@127.0.0.1:{port}/live", *words])


def test_rtsp_at_a_web_server():
    with answering(200) as port:
        check(f"rtsp://bob:pa55@127.0.0.1:{port}/live", SourceOpenError, [f"***@127.0.0.1:{port}"])


def test_close_from_another_thread_ends_a_blocked_open():
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/cam"
        source = make_source(SourceSettings(url=url, timeout_s=30), "1", SystemClock())
        timer = threading.Timer(0.3, source.close)
        timer.start()
        began_s = time.monotonic()
        with pytest.raises(SourceEnded, match="closed"):
            source.open()
        assert time.monotonic() - began_s < 5
        timer.join()


def test_trying_again_and_again_leaks_neither_threads_nor_files(tmp_path):
    with closing(socket.create_server(("127.0.0.1", 0))) as unused:
        port = unused.getsockname()[1]
    clip = make_clip(tmp_path / "a.mp4", frames=10)
    urls = [f"rtsp://127.0.0.1:{port}/cam", str(clip), str(text(tmp_path))]
    for url in urls:
        try_to_read(url)
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    for url in urls * 20:
        try_to_read(url)
    assert threading.active_count() <= threads
    assert len(os.listdir("/proc/self/fd")) <= files


def test_source_that_is_closed_early_lets_its_thread_go(tmp_path):
    clip = make_clip(tmp_path / "a.mp4", frames=200)
    threads = threading.active_count()
    for frames_read in (0, 1, 5):
        source = make_source(SourceSettings(url=str(clip)), "1", SystemClock())
        source.open()
        for _ in range(frames_read):
            source.read()
        source.close()
        source.close()
        with pytest.raises(SourceEnded):
            source.read()
    assert threading.active_count() == threads

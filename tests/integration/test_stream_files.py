"""Recordings through PyAV: times, starts in the middle, strides, sizes, loops, faults."""

import functools
import http.server
import threading
import time

import av
import numpy as np
import pytest

from core.clock import ManualClock, SystemClock
from core.errors import SourceEnded
from core.records import Frame
from streams.factory import make_source
from streams.reconnect import frames
from streams.source import SeekableSource, SourceSettings, content_key
from tests.media import make_clip, make_resized, number_in


def read_all(url, seek_s=None, limit=10_000, **settings):
    """Read a source to its end; return its frames and the source."""
    source = make_source(SourceSettings(url=str(url), **settings), "1", ManualClock())
    if seek_s is not None:
        source.seek(seek_s)
    source.open()
    out = []
    try:
        while len(out) < limit:
            out.append(source.read())
    except SourceEnded:
        pass
    finally:
        source.close()
    return out, source


def same(a: Frame, b: Frame) -> bool:
    same_times = (a.index, a.stream_s, a.captured_at_s) == (b.index, b.stream_s, b.captured_at_s)
    return same_times and np.array_equal(a.image, b.image)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Six seconds at 20 fps with B-frames, sound, and a key picture every two seconds."""
    return make_clip(tmp_path_factory.mktemp("clip") / "a.mp4", frames=120, gop=40, b_frames=2, sound=True)


def test_frames_carry_numbers_times_and_pictures(clip):
    out, source = read_all(clip, start_utc=1000.0)
    assert [number_in(f.image) for f in out] == list(range(120))
    assert [f.index for f in out] == list(range(120))
    assert [f.stream_s for f in out] == pytest.approx([i / 20 for i in range(120)])
    assert [f.captured_at_s for f in out] == pytest.approx([1000 + i / 20 for i in range(120)])
    assert all(f.image.shape == (96, 160, 3) and not f.image.flags.writeable for f in out)
    assert source.dropped == {}
    assert not source.live


def test_two_reads_are_the_same(clip):
    first, second = read_all(clip)[0], read_all(clip, threads=2)[0]
    assert all(map(same, first, second))


@pytest.mark.parametrize("at_s", [0.0, 0.001, 0.05, 1.99, 2.0, 3.33, 5.95])
def test_start_in_the_middle_equals_the_rest_of_a_full_read(clip, at_s):
    full = [f for f in read_all(clip)[0] if f.stream_s >= at_s]
    part = read_all(clip, seek_s=at_s)[0]
    assert len(part) == len(full)
    assert all(map(same, part, full))


@pytest.mark.parametrize("suffix", [".mkv", ".avi", ".ts", ".h264"])
def test_start_in_the_middle_of_other_containers(tmp_path, suffix):
    path = make_clip(tmp_path / f"a{suffix}", frames=120, gop=40)
    full = read_all(path)[0]
    part = read_all(path, seek_s=2.5)[0]
    assert [number_in(f.image) for f in full] == list(range(120))
    assert all(map(same, part, [f for f in full if f.stream_s >= 2.5]))
    assert len(part) > 10


def test_start_in_the_middle_of_a_variable_rate(tmp_path):
    stamps = np.cumsum([1 + (i * 7) % 5 for i in range(120)]).tolist()
    path = make_clip(tmp_path / "vfr.mp4", frames=120, gop=30, stamps=stamps)
    full = read_all(path)[0]
    assert [f.stream_s for f in full] == pytest.approx([(s - stamps[0]) / 20 for s in stamps], abs=1e-4)
    part = read_all(path, seek_s=9.0)[0]
    assert all(map(same, part, [f for f in full if f.stream_s >= 9.0]))


def test_start_behind_the_end_gives_nothing(clip):
    assert read_all(clip, seek_s=99.0)[0] == []


def test_start_counts_for_one_opening_and_only_before_the_first_read(clip):
    source = make_source(SourceSettings(url=str(clip)), "1", ManualClock())
    assert isinstance(source, SeekableSource)
    source.open()
    source.seek(3.0)
    assert source.read().index == 60
    with pytest.raises(ValueError, match="before the first read"):
        source.seek(1.0)
    source.open()
    assert source.read().index == 0
    source.close()


def test_stride_keeps_every_kth_frame_and_counts_the_others(clip):
    full = read_all(clip)[0]
    kept, source = read_all(clip, stride=6)
    assert all(map(same, kept, full[::6]))
    assert len(kept) == 20
    assert source.dropped == {"stride": 100}
    assert [f.index for f in read_all(clip, stride=6, seek_s=1.0)[0]] == list(range(24, 120, 6))


def test_loop_goes_on_with_index_and_time(clip):
    out, _ = read_all(clip, loop=True, limit=250)
    assert [number_in(f.image) for f in out] == [i % 120 for i in range(250)]
    assert [f.index for f in out] == list(range(250))
    assert [f.stream_s for f in out] == pytest.approx([i / 20 for i in range(250)])


def test_realtime_recording_is_paced_like_a_camera(tmp_path):
    path = make_clip(tmp_path / "a.mp4", frames=10, fps=20)
    source = make_source(SourceSettings(url=str(path), realtime=True), "1", SystemClock())
    assert source.live
    source.open()
    began_s, began_utc = time.monotonic(), time.time()
    out = [source.read() for _ in range(10)]
    source.close()
    assert time.monotonic() - began_s > 0.4
    assert all(0 <= f.captured_at_s - began_utc < 5 for f in out)
    assert all(f.received_s - out[0].received_s >= f.stream_s - 0.05 for f in out)


def test_resolution_change_comes_in_the_first_size(tmp_path, caplog):
    path = make_resized(tmp_path / "r.h264", [(160, 96), (320, 192), (160, 96), (96, 160)])
    out, _ = read_all(path)
    assert [number_in(f.image) for f in out] == list(range(80))
    assert {f.image.shape for f in out} == {(96, 160, 3)}
    assert [f.index for f in out] == list(range(80))
    told = [record.message for record in caplog.records if "scaled to 160x96" in record.message]
    assert len(told) == 2, told


def test_rotated_recording_comes_upright(tmp_path):
    path = make_clip(tmp_path / "flat.mp4", frames=5)
    turned = tmp_path / "turned.mp4"
    with av.open(str(path)) as source, av.open(str(turned), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(90)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    flat, upright = read_all(path)[0], read_all(turned)[0]
    assert upright[0].image.shape == (160, 96, 3)
    assert np.array_equal(upright[0].image, np.rot90(flat[0].image, 1))


def test_names_that_look_like_addresses_are_files(tmp_path):
    for name in ("12:30.mp4", "pipe:.mp4", "frame%d.mp4", "a b#c?d=1.mp4"):
        assert len(read_all(make_clip(tmp_path / name, frames=3))[0]) == 3
    assert len(read_all((tmp_path / "12:30.mp4").as_uri())[0]) == 3


def test_stamps_that_jump_ahead_are_one_step(tmp_path):
    stamps = [i + (5000 if i >= 30 else 0) for i in range(60)]
    out, _ = read_all(make_clip(tmp_path / "jump.mp4", frames=60, stamps=stamps))
    assert [number_in(f.image) for f in out] == list(range(60))
    assert [f.stream_s for f in out] == pytest.approx([i / 20 for i in range(60)], abs=0.01)


def test_stamps_that_run_back_are_one_step(tmp_path):
    """Two recordings laid end to end, as recorders do: the second starts at zero again."""
    first = make_clip(tmp_path / "a.ts", frames=60)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() * 2)
    out, _ = read_all(path)
    assert [number_in(f.image) for f in out] == [*range(60), *range(60)]
    assert [f.stream_s for f in out] == pytest.approx([i / 20 for i in range(120)], abs=0.01)
    part = read_all(path, seek_s=4.0)[0]
    assert all(map(same, part, [f for f in out if f.stream_s >= 4.0]))


def test_broken_packets_are_counted_and_left_out(tmp_path):
    path = make_clip(tmp_path / "a.mp4", frames=200, gop=10)
    content = bytearray(path.read_bytes())
    payload = content.index(b"mdat")
    third = (len(content) - payload) // 3
    rng = np.random.default_rng(5)
    for start in rng.integers(payload + third, payload + 2 * third, size=40):
        content[start : start + 8] = rng.bytes(8)
    path.write_bytes(content)
    out, source = read_all(path)
    assert 100 < len(out) < 200
    assert source.dropped["corrupt"] > 0
    assert number_in(out[-1].image) == 199


def test_recording_over_http(clip):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(clip.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        out, source = read_all(f"http://127.0.0.1:{server.server_port}/{clip.name}")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert not source.live
    assert [number_in(f.image) for f in out] == list(range(120))


def test_camera_over_http_is_live(tmp_path):
    """An MJPEG camera: an endless multipart answer that breaks off."""
    clip = make_clip(tmp_path / "m.avi", frames=12, codec="mjpeg")
    with av.open(str(clip)) as container:
        pictures = [bytes(packet) for packet in container.demux(video=0) if packet.size]

    class Mjpeg(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for picture in pictures:
                time.sleep(0.02)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                self.wfile.write(head.encode() + picture + b"\r\n")

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mjpeg)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://bob:pa55@127.0.0.1:{server.server_port}/video?token=abc"
        source = make_source(SourceSettings(url=url), "1", SystemClock())
        stop, seen = threading.Event(), []
        for item in frames(source, stop, SystemClock()):
            seen.append(item)
            if len(seen) == 20:
                stop.set()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert source.live
    assert "pa55" not in source.shown_url
    assert "abc" not in source.shown_url
    indices = [item.index for item in seen if isinstance(item, Frame)]
    assert indices == sorted(set(indices))
    assert indices[-1] == len(indices) - 1 + source.dropped.get("connecting", 0)
    gaps = [item for item in seen if not isinstance(item, Frame)]
    assert 1 <= len(gaps) <= 2, "it breaks off after 12 pictures"
    assert "pa55" not in gaps[0].reason


def test_content_key_depends_on_the_bytes_alone(clip, tmp_path):
    copy = tmp_path / "other name.mp4"
    copy.write_bytes(clip.read_bytes())
    assert content_key(copy) == content_key(clip)
    assert len(content_key(clip)) == 16
    copy.write_bytes(clip.read_bytes() + b"x")
    assert content_key(copy) != content_key(clip)

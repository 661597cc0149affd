"""The mp4 writer: whole or absent."""

import multiprocessing
import resource

import av
import numpy as np
import pytest

from core.errors import StoreUnavailable
from streams.video_writer import VideoWriter
from tests.media import number_in, numbered


def write(path, count=10, width=160, height=96, fps=20.0):
    with VideoWriter(path, width, height, fps) as video:
        for i in range(count):
            video.write(numbered(i, width, height))


@pytest.mark.parametrize("fps", [20.0, 179 / 6, 30000 / 1001, 5.0])
def test_video_plays_back_as_written(tmp_path, fps):
    path = tmp_path / "a.mp4"
    write(path, fps=fps)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == pytest.approx(fps, rel=1e-6)
    assert [number_in(f.to_ndarray(format="rgb24")) for f in frames] == list(range(10))
    assert [f.time for f in frames] == pytest.approx([i / fps for i in range(10)], abs=1e-4)


@pytest.mark.parametrize("size", [(161, 97), (160, 97), (161, 96), (1, 1), (3, 33)])
def test_odd_sizes_get_their_last_row_and_column_twice(tmp_path, size):
    path = tmp_path / "odd.mp4"
    with VideoWriter(path, *size, 20) as video:
        for value in range(0, 250, 25):
            video.write(np.full((size[1], size[0], 3), value, np.uint8))
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)
        means = [f.to_ndarray(format="rgb24").mean() for f in container.decode(stream)]
    assert means == pytest.approx(list(range(0, 250, 25)), abs=4)


def test_index_is_at_the_front(tmp_path):
    path = tmp_path / "fast.mp4"
    write(path)
    content = path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


def test_nothing_is_at_the_path_until_close(tmp_path):
    path = tmp_path / "late.mp4"
    path.write_bytes(b"older")
    video = VideoWriter(path, 160, 96, 20)
    video.write(numbered(1))
    assert path.read_bytes() == b"older"
    video.close()
    video.close()
    assert path.stat().st_size > 500
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_exception_leaves_nothing_behind(tmp_path):
    def fail():
        with VideoWriter(tmp_path / "a.mp4", 160, 96, 20) as video:
            video.write(numbered(1))
            raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_video_without_pictures_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="without pictures"):
        VideoWriter(tmp_path / "a.mp4", 160, 96, 20).close()
    assert list(tmp_path.iterdir()) == []


def test_wrong_pictures_are_refused(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", 160, 96, 20) as video:
        with pytest.raises(ValueError, match="must be uint8"):
            video.write(np.zeros((97, 160, 3), np.uint8))
        with pytest.raises(ValueError, match="must be uint8"):
            video.write(np.zeros((96, 160, 3), np.float32))
        video.write(numbered(1))
    with pytest.raises(ValueError, match="closed already"):
        video.write(numbered(1))


def test_missing_folder_is_told_with_advice(tmp_path):
    with pytest.raises(StoreUnavailable, match=r"none/a\.mp4: No such file or directory; make the folder first"):
        VideoWriter(tmp_path / "none" / "a.mp4", 160, 96, 20)


def _overfill(folder, frames, answers):
    """Write noise under a limit of 100 kB per file (what a full disk does, without one)."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    rng = np.random.default_rng(0)
    try:
        with VideoWriter(folder / "a.mp4", 320, 192, 20) as video:
            for _ in range(frames):
                video.write(rng.integers(0, 255, (192, 320, 3), dtype=np.uint8))
    except StoreUnavailable as err:
        answers.put(str(err))
    else:
        answers.put("written")


@pytest.mark.parametrize("frames", [4, 60], ids=["at close", "while writing"])
def test_full_disk_is_told_and_leaves_nothing(tmp_path, frames):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    child = context.Process(target=_overfill, args=(tmp_path, frames, answers))
    child.start()
    answer = answers.get(timeout=60)
    child.join(60)
    assert "cannot write the video" in answer
    assert "choose another folder" in answer
    assert list(tmp_path.iterdir()) == []

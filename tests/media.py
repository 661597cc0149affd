"""Make small clips for tests: frames that carry their own number, in any size, rate and codec."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

_BITS = 12


def numbered(number: int, width: int = 160, height: int = 96) -> NDArray[np.uint8]:
    """Return a picture (height, width, 3) uint8 RGB that shows `number` (0..4095) as 12 black or white bars."""
    image = np.full((height, width, 3), 128, np.uint8)
    bar = width // _BITS
    for bit in range(_BITS):
        image[:, bit * bar : (bit + 1) * bar] = 235 if number >> bit & 1 else 16
    return image


def number_in(image: NDArray[np.uint8]) -> int:
    """Return the number that `numbered` drew, even after lossy coding and a change of the size."""
    height, width = image.shape[:2]
    bar = width / _BITS
    middle = image[height // 4 : 3 * height // 4]
    bits = [middle[:, int((bit + 0.3) * bar) : int((bit + 0.7) * bar)].mean() > 128 for bit in range(_BITS)]
    return sum(1 << bit for bit, on in enumerate(bits) if on)


def make_clip(
    path: Path,
    frames: int = 40,
    fps: float = 20,
    size: tuple[int, int] = (160, 96),
    codec: str = "libx264",
    gop: int = 10,
    b_frames: int = 0,
    stamps: Sequence[int] | None = None,
    sound: bool = False,
    index_first: bool = True,
) -> Path:
    """Write a clip of numbered pictures and return its path.

    Args:
        path: its suffix chooses the container.
        frames: how many pictures.
        fps: their rate, and the unit of `stamps`.
        size: width and height, pixels.
        codec: encoder name.
        gop: pictures from one key picture to the next.
        b_frames: pictures between references at most.
        stamps: presentation stamps in frame periods, one per picture; by default 0, 1, 2, ...
        sound: add a silent audio track.
        index_first: put an mp4's index at the front.
    """
    rate = Fraction(fps).limit_denominator(1001)
    options = {"movflags": "+faststart"} if index_first and path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        stream.codec_context.thread_count = 1
        audio = _add_sound(container) if sound else None
        for i in range(frames):
            picture = av.VideoFrame.from_ndarray(numbered(i, *size), format="rgb24")
            picture.pts, picture.time_base = i if stamps is None else stamps[i], 1 / rate
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if audio is not None:
            _silence(container, audio, frames / fps)
    return path


def make_sound(path: Path, seconds: float = 1.0) -> Path:
    """Write an audio-only file and return its path."""
    with av.open(str(path), "w") as container:
        _silence(container, _add_sound(container), seconds)
    return path


def make_resized(path: Path, sizes: Sequence[tuple[int, int]], frames_each: int = 20, fps: int = 20) -> Path:
    """Write raw H.264 whose picture size changes in mid-stream, and return its path (give it the suffix .h264)."""
    coded = bytearray()
    number = 0
    for size in sizes:
        encoder = av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height = size
        encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(fps), Fraction(1, fps)
        encoder.options, encoder.thread_count = {"bf": "0"}, 1
        for i in range(frames_each):
            picture = av.VideoFrame.from_ndarray(numbered(number, *size), format="rgb24")
            picture.pts, picture.time_base = i, Fraction(1, fps)
            number += 1
            coded += b"".join(bytes(packet) for packet in encoder.encode(picture))
        coded += b"".join(bytes(packet) for packet in encoder.encode(None))
    path.write_bytes(coded)
    return path


def _add_sound(container: av.container.OutputContainer) -> av.AudioStream:
    stream = container.add_stream("aac", rate=16000)
    stream.layout = "mono"
    return stream


def _silence(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    for start in range(0, int(seconds * 16000), 1024):
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate, sound.pts, sound.time_base = 16000, start, Fraction(1, 16000)
        container.mux(stream.encode(sound))
    container.mux(stream.encode(None))

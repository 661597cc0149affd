"""Write pictures to an H.264 mp4 that is either whole or absent."""

from __future__ import annotations

import errno
import os
import tempfile
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from core.errors import StoreUnavailable
from core.files import sync_folder

_ENCODERS = ("libx264", "libopenh264")


class VideoWriter:
    """A video under construction: it lies beside `path` until `close()` puts it there.

    Use it as a context manager: an exception inside throws the unfinished video away, as `abort()` does.
    The file is H.264 in yuv420p with its index at the front, so that browsers play it while it loads.
    H.264 in 4:2:0 has even sides only: an odd picture gets its last row or column twice.

    Args:
        path: the mp4 to make; an older one is replaced. The parent folder must exist.
        width: of the pictures, pixels.
        height: of the pictures, pixels.
        fps: pictures per second of play.
        crf: constant rate factor, 0 (huge) .. 51 (ugly).

    Raises:
        StoreUnavailable: the file cannot be written (no such folder, no right, disk full).
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, crf: int = 23) -> None:
        if width < 1 or height < 1 or not fps > 0:
            raise ValueError(f"a video of {width}x{height} at {fps} fps cannot be written")
        self.path, self.frames = path, 0
        self._size = (height, width)
        self._pad = ((0, height % 2), (0, width % 2), (0, 0))
        try:
            descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        except OSError as err:
            raise self._unwritable(err) from err
        os.close(descriptor)
        self._part: Path | None = Path(name)
        try:
            self._container = av.open(name, "w", format="mp4", options={"movflags": "+faststart"})
            self._stream: Any = self._open_stream(width + width % 2, height + height % 2, fps, crf)
        except BaseException:
            self.abort()
            raise

    def _open_stream(self, width: int, height: int, fps: float, crf: int) -> Any:
        encoder = next((name for name in _ENCODERS if name in av.codecs_available), None)
        if encoder is None:
            raise StoreUnavailable(
                f"cannot write {self.path}: this PyAV has no H.264 encoder ({' or '.join(_ENCODERS)}); "
                "install the av wheel from PyPI"
            )
        # Encoders want a small fraction: 29.8333 is 179/6.
        rate = Fraction(fps).limit_denominator(1001)
        options = {"preset": "veryfast", "crf": str(crf)} if encoder == "libx264" else {}
        stream = self._container.add_stream(encoder, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"  # type: ignore[union-attr]
        stream.codec_context.thread_count = 1
        return stream

    def write(self, image: NDArray[np.uint8]) -> None:
        """Append one picture, (height, width, 3) uint8 RGB.

        Raises:
            StoreUnavailable: the disk is full or gone.
        """
        if self._part is None:
            raise ValueError(f"{self.path}: the video is closed already")
        if image.shape != (*self._size, 3) or image.dtype != np.uint8:
            expected = (*self._size, 3)
            raise ValueError(f"{self.path}: a picture must be uint8 {expected}, got {image.dtype} {image.shape}")
        if self._pad[0][1] or self._pad[1][1]:
            image = np.pad(image, self._pad, mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        picture.pts = self.frames
        picture.time_base = 1 / self._stream.codec_context.framerate
        try:
            self._container.mux(self._stream.encode(picture))
        except OSError as err:
            raise self._unwritable(err) from err
        self.frames += 1

    def close(self) -> None:
        """Finish the video and put it at its place; a second call does nothing.

        Raises:
            StoreUnavailable: the disk is full or gone; then nothing is left behind.
        """
        if self._part is None:
            return
        if self.frames == 0:
            self.abort()
            raise ValueError(f"{self.path}: a video without pictures cannot be written")
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            with self._part.open("rb+") as handle:
                os.fsync(handle.fileno())
            self._part.chmod(0o644)
            self._part.replace(self.path)
            self._part = None
            sync_folder(self.path.parent)
        except OSError as err:
            raise self._unwritable(err) from err
        finally:
            self.abort()

    def abort(self) -> None:
        """Throw the unfinished video away; after `close()` it does nothing."""
        if self._part is None:
            return
        part, self._part = self._part, None
        try:
            if hasattr(self, "_container"):
                self._container.close()
        except av.error.FFmpegError:
            pass  # the trailer of a video that is thrown away does not matter
        finally:
            part.unlink(missing_ok=True)

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def _unwritable(self, err: OSError) -> StoreUnavailable:
        advice = {
            errno.ENOSPC: "free space on this disk or choose another folder",
            errno.EFBIG: "the file grew over the limit of this disk or user; choose another folder",
            errno.ENOENT: "make the folder first",
            errno.EACCES: "choose a folder that this user may write to",
            errno.EROFS: "the disk is read-only; choose another folder",
        }.get(err.errno or 0, "check the disk")
        return StoreUnavailable(f"cannot write the video {self.path}: {err.strerror or err}; {advice}")

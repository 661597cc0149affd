"""From a stream's own time stamps to the lane's two time lines.

Streams lie about time: stamps are missing, stand still, jump, wrap, and a camera's crystal drifts. A lane needs
`stream_s` that only grows, and a capture time that is right to a fraction of a second.

A recording's time line is its stamps alone, so that two reads of it agree to the last bit. A camera's time line is
kept on this machine's monotonic clock: a frame is captured one stamp-step after the frame before, but never later than
the moment it arrived (the least delayed frames set the offset, as in NTP's minimum filter). So network jitter and a
burst after a stall do not disturb the capture times, and a change of the wall clock does not touch the stream's.
"""

from __future__ import annotations

from fractions import Fraction

from core.clock import Clock

#: A step of the stamps beyond this is a discontinuity, not a pause: the time line goes on with one normal step.
RECORDING_JUMP_S = 60.0
#: Stamps that run back by less than this are noise; the anchor stays.
BACK_NOISE_S = 1.0
#: A camera frame that seems older than this is a jump of its stamps, not a delay.
MAX_LAG_S = 10.0
#: How long the least delay is looked for, and how fast the offset may follow it (1000 ppm: ten times a bad crystal).
_DRIFT_WINDOW_S = 30.0
_DRIFT_RATE = 1e-3
#: Two frames are never at the same moment.
_TICK_S = 1e-6


class RecordingTimeline:
    """Stream seconds of a recording's frames, from their time stamps alone.

    Args:
        time_base: seconds per tick of the stamps.
        nominal_s: the normal step from one frame to the next, until one is seen.
    """

    def __init__(self, time_base: Fraction, nominal_s: float) -> None:
        self._numerator, self._denominator = time_base.numerator, time_base.denominator
        self._step_s = nominal_s
        self._anchor: int | None = None
        self._offset_s = 0.0
        self._last_s: float | None = None
        self.jumps = 0

    def restart(self) -> None:
        """Expect stamps from another origin (the recording starts again); stream time goes on."""
        self._anchor = None

    def stamp(self, pts: int | None) -> float:
        """Return the stream seconds, above all earlier ones, of the next frame with stamp `pts` (ticks, or None)."""
        last = self._last_s
        expected = 0.0 if last is None else last + self._step_s
        if pts is None:
            self._last_s = expected
            return expected
        if self._anchor is None:
            self._anchor, self._offset_s = pts, expected
        stream_s = self._offset_s + (pts - self._anchor) * self._numerator / self._denominator
        if last is not None and not last < stream_s <= last + RECORDING_JUMP_S:
            if last - BACK_NOISE_S < stream_s <= last:
                stream_s = last + _TICK_S
            else:
                self.jumps += 1
                self._anchor, self._offset_s, stream_s = pts, expected, expected
        elif last is not None:
            self._step_s = stream_s - last
        self._last_s = stream_s
        return stream_s


class LiveTimeline:
    """Capture times of a camera's frames.

    Args:
        clock: this machine's clocks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first_s: float | None = None
        self._last_s = 0.0
        self._last_pts_s: float | None = None
        #: Capture moment on the monotonic clock less the stamp; None while it is not known.
        self._offset_s: float | None = None
        self._window_end_s = 0.0
        self._least_lag_s = MAX_LAG_S
        self.jumps = 0

    def restart(self, newest_pts_s: float | None = None) -> None:
        """Expect stamps from another origin (the camera was connected again); stream time goes on.

        Args:
            newest_pts_s: the stamp of a frame that arrives just now, if one is known; it dates those before it.
        """
        self._last_pts_s = self._offset_s = None
        if newest_pts_s is not None:
            self._anchor(newest_pts_s, self._clock.monotonic_s())

    def stamp(self, pts_s: float | None) -> tuple[float, float, float]:
        """Stamp a frame that has just arrived.

        Args:
            pts_s: its stamp in seconds on the camera's clock, or None.

        Returns:
            Its stream seconds, its capture time in UTC epoch seconds, and its arrival on the monotonic clock.
        """
        now_s = self._clock.monotonic_s()
        utc_offset_s = self._clock.utc_s() - now_s
        captured_s = now_s if pts_s is None else self._captured_s(pts_s, now_s)
        if self._first_s is None:
            self._first_s = captured_s
        else:
            captured_s = max(captured_s, self._last_s + _TICK_S)
        self._last_s = captured_s
        return captured_s - self._first_s, captured_s + utc_offset_s, now_s

    def _captured_s(self, pts_s: float, now_s: float) -> float:
        """Return the capture moment on the monotonic clock."""
        last_pts_s, self._last_pts_s = self._last_pts_s, pts_s
        if self._offset_s is None:
            return self._anchor(pts_s, now_s)
        lag_s = now_s - pts_s - self._offset_s
        ran_back = last_pts_s is not None and pts_s - last_pts_s <= -BACK_NOISE_S
        if ran_back or abs(lag_s) > MAX_LAG_S:
            self.jumps += 1
            return self._anchor(pts_s, now_s)
        if lag_s < 0:
            self._offset_s += lag_s
        self._least_lag_s = min(self._least_lag_s, max(lag_s, 0.0))
        if now_s >= self._window_end_s:
            self._offset_s += min(self._least_lag_s, _DRIFT_WINDOW_S * _DRIFT_RATE)
            self._begin_window(now_s)
        return pts_s + self._offset_s

    def _anchor(self, pts_s: float, now_s: float) -> float:
        """Take the frame with this stamp for captured now."""
        self._offset_s = now_s - pts_s
        self._begin_window(now_s)
        return now_s

    def _begin_window(self, now_s: float) -> None:
        self._window_end_s, self._least_lag_s = now_s + _DRIFT_WINDOW_S, MAX_LAG_S

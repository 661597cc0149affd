"""The compiled path: `kernels.py` by numba, where that is installed, and its seam to the engine.

The results are the same to the last bit, so that it makes no difference when the kernels are there: an engine begins
with numpy and changes over between two frames. Nothing waits for them. A thread loads what an earlier run compiled;
where there is nothing yet, another process compiles it first, at the lowest priority, so that no frame competes with
the compiler for the interpreter. `python -m tracker.compiled` does the same ahead, when a machine is set up.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracker import kernels
from tracker.association import Pairs
from tracker.edges import FrameEdges
from tracker.evidence import ViewWeights
from tracker.kalman import Floats
from tracker.matching import DISPLACED_COST, LEAST_OVERLAP, STRANGE_SHARE, Matches, young_limit
from tracker.measuring import CUT_SHARE, MERGED_AREA, Measurement
from tracker.observations import FARTHEST_PX, MIN_SIDE_PX, NO_BOXES, Observations
from tracker.settings import TrackerSettings
from tracker.table import Rows, TrackTable

_log = logging.getLogger(__name__)

#: The arguments of each kernel; numba compiles for these and no others, so that no frame ever waits for a compiler.
_SIGNATURES = {
    "observe": "(f8[:,::1], f8[::1], i8[::1], i8, f8[::1])",
    "predict": "(f8[:,:,::1], f8[:,::1], f8[::1], f8, b1)",
    "pair": "(f8[:,::1], f8[:,::1], i8[:,::1], f8[:,::1], f8[::1], i8[::1], f8, f8[::1], f8[::1], UniTuple(b1, 4))",
    "measure": "(f8[:,::1], i8[::1], i8[::1], f8[:,::1], f8[::1], f8[:,::1], f8[::1], UniTuple(b1, 2), f8[::1])",
    "correct": "(f8[:,:,::1], f8[:,::1], i8[:,::1], i8[::1], f8[:,::1], f8[:,::1], i8[::1], f8[::1], f8[::1], f8[::1],"
    " UniTuple(b1, 4))",
    "weigh": "(f8[:,::1], f8[:,::1], i8[:,::1], i8[::1], f8[::1], i8[::1], f8[::1], f8, f8[::1], f8[::1])",
}
#: A lane that starts has better things to do than to load kernels.
_LATER_S = 5.0
#: The compiler gets no more than this, and who waits for the kernels may wait as long.
KERNELS_S = 600.0


@dataclass(frozen=True, slots=True)
class Kernels:
    """The functions of `kernels.py`, compiled or (the defaults) as they are."""

    observe: Callable[..., Any] = kernels.observe
    predict: Callable[..., Any] = kernels.predict
    pair: Callable[..., Any] = kernels.pair
    measure: Callable[..., Any] = kernels.measure
    correct: Callable[..., Any] = kernels.correct
    weigh: Callable[..., Any] = kernels.weigh

    def __deepcopy__(self, memo: dict[int, object]) -> Kernels:
        """Return the same ones: a copy of a tracker needs no compiler."""
        return self


class Loader:
    """Brings the compiled kernels into this process, beside whatever else it does.

    Attributes:
        kernels: None until they are there, and for good where `problem` says why they cannot be.
        problem: what is in the way, for people; None while nothing is.
    """

    def __init__(self) -> None:
        self.kernels: Kernels | None = None
        self.problem: str | None = None
        self._now, self._done = threading.Event(), threading.Event()
        if importlib.util.find_spec("numba") is None:
            self.problem = "numba is not installed: pip install traylane[fast]"
            self._done.set()
        else:
            threading.Thread(target=self._load, name="tracker-kernels", daemon=True).start()

    def wait(self, timeout_s: float) -> Kernels | None:
        """Return the kernels, at most `timeout_s` later and without further delay; None where there are none."""
        self._now.set()
        self._done.wait(timeout_s)
        return self.kernels

    def _load(self) -> None:
        self._now.wait(_LATER_S)
        try:
            if not _stamp().exists():
                _compile_elsewhere()
            self.kernels = compile_kernels()
        except (ImportError, RuntimeError, OSError, subprocess.SubprocessError) as err:
            # Numba is there but does not work (no folder for its cache, another numpy): numpy does the same work.
            self.problem = f"the tracker's kernels cannot be compiled, numpy does their work: {err}"
            _log.warning(self.problem)
        finally:
            self._done.set()


@functools.cache
def loader() -> Loader:
    """Return the loader of this process; the first call starts it."""
    return Loader()


def compile_kernels() -> Kernels:
    """Compile the kernels, or load what an earlier call has compiled.

    Raises:
        ImportError: numba is not installed.
        RuntimeError: numba finds no folder where it may keep what it compiled (`NUMBA_CACHE_DIR` names one).
    """
    numba = importlib.import_module("numba")
    # Divisions as numpy's: without a check for zero. No fast maths: it would change the order of operations.
    jit = functools.partial(numba.njit, cache=True, error_model="numpy", fastmath=False)
    typed = {name: arguments.replace("b1", "boolean") for name, arguments in _SIGNATURES.items()}
    made = Kernels(**{name: jit(arguments)(getattr(kernels, name)) for name, arguments in typed.items()})
    _stamp().touch()
    return made


def _stamp() -> Path:
    """Return the file that says that this version of the kernels has been compiled, in numba's own folder."""
    numba, llvm = importlib.import_module("numba"), importlib.import_module("llvmlite.binding")
    source = Path(kernels.__file__)
    said = (source.read_bytes(), source.stat().st_mtime_ns, sys.version, numba.__version__)
    key = hashlib.sha256(repr((*said, llvm.get_host_cpu_name())).encode()).hexdigest()[:16]
    return Path(str(numba.njit(cache=True)(kernels.predict).stats.cache_path)) / f"tracker-kernels-{key}.compiled"


def _compile_elsewhere() -> None:
    """Fill numba's cache in a process of its own.

    Raises:
        RuntimeError: the compiler failed; with what it said last.
        subprocess.TimeoutExpired: it took too long.
    """
    command = [sys.executable, "-m", "tracker.compiled"]
    root = Path(__file__).parents[1]
    done = subprocess.run(  # noqa: S603 - our own module
        command, cwd=root, capture_output=True, text=True, timeout=KERNELS_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-300:]}")


class QuietFrame:
    """The stages of a frame by the kernels; each returns None for what it leaves to numpy.

    Args:
        made: the kernels.
        settings: see there; those for which `supports` is true.
        hand_class: class id of hands, or -1.
        edges: the border of the frame, if known.
    """

    def __init__(self, made: Kernels, settings: TrackerSettings, hand_class: int, edges: FrameEdges | None) -> None:
        self._kernels, self._settings, self._hand = made, settings, hand_class
        self._usable = np.array([settings.low_score, MIN_SIDE_PX, FARTHEST_PX])
        reach = (settings.reach, settings.reach_rate, settings.max_reach, settings.buffer)
        costs = (settings.distance_weight, settings.unseen_weight, settings.height_weight)
        self._geometry = np.array([*reach, *costs, LEAST_OVERLAP, DISPLACED_COST])
        self._limits_s = 0.0
        first, low = (settings.high_score, settings.match_cost), (settings.low_match_cost, settings.low_overlap)
        self._limits = np.array([*first, *low, 0.0, STRANGE_SHARE])
        self._pair_logic = (
            settings.keeps_size,
            settings.class_weight > 0.0,
            settings.group_motion,
            settings.duplicate_iou < 1.0,
        )
        place, side = settings.position_noise**2, settings.size_noise**2
        self._noise = np.array([place, place, side, side, settings.score_noise, CUT_SHARE])
        self._measure_logic = (settings.keeps_size, edges is not None)
        border = (0.0, 0.0, 0.0) if edges is None else edges.limits
        self._border = np.array([*border, MERGED_AREA])
        self._anchored, self._learns = settings.sharpness > 0.0, settings.adapt_rate > 0.0

    @staticmethod
    def supports(settings: TrackerSettings) -> bool:
        """Return whether the kernels know what is asked for."""
        return settings.reupdate_s == 0.0 and settings.height_weight in (0.0, 1.0, 1.5)

    def observe(
        self,
        boxes: Floats,
        scores: Floats,
        class_ids: NDArray[np.int64],
        class_probs: Floats | None,
        embeddings: Floats | None,
    ) -> Observations | None:
        """See `observations.observe`; None where numbers are out of range."""
        own = np.array(boxes, np.float64, order="C")
        found, order, measured, kept, classes = self._kernels.observe(
            own, np.array(scores, np.float64), np.array(class_ids, np.int64), self._hand, self._usable
        )
        if found < 0:
            return None
        hands = NO_BOXES if found == order.shape[0] else own[order[found:]]
        seen = Observations(measured, kept, classes, None, hands)
        if class_probs is not None:
            seen.class_probs = class_probs[order[:found]]
        if embeddings is not None:
            seen.embeddings = embeddings.T.take(order[:found], axis=1)
        return seen

    def predict(self, table: TrackTable, noise: Floats, decay: Floats, dt_s: float) -> Floats:
        """Move all tracks on, see `kernels.predict`; return their squared sizes (4, N)."""
        squares: Floats = self._kernels.predict(
            table.motion.state, noise.reshape(3, 4), decay, dt_s, self._settings.keeps_size
        )
        return squares

    def pairs(self, table: TrackTable, seen: Observations, dt_s: float) -> tuple[Pairs, Matches | None]:
        """Return the pairs by place and size alone, and who is who where that is plain."""
        if dt_s != self._limits_s:
            self._limits_s, self._limits[4] = dt_s, young_limit(dt_s, self._settings)
        plain, which, numbers, column, free = self._kernels.pair(
            table.motion.mean,
            table.floats,
            table.integers,
            seen.measured,
            seen.scores,
            seen.class_ids,
            dt_s,
            self._geometry,
            self._limits,
            self._pair_logic,
        )
        pairs = Pairs(which[0], which[1], numbers[0], numbers[1], (len(table), len(seen)))
        if not plain or (seen.embeddings is not None and self._settings.embedding_weight > 0.0):
            return pairs, None
        return pairs, Matches(column, free, np.count_nonzero(column < 0) == 0)

    def measure(self, table: TrackTable, column: Rows, seen: Observations, squares: Floats) -> Measurement | None:
        """See `measuring.measure`; None where an object is cut, merged with another or grown."""
        whole, value, variance, touched = self._kernels.measure(
            table.motion.mean,
            table.at_edge,
            column,
            seen.measured,
            seen.scores,
            squares,
            self._noise,
            self._measure_logic,
            self._border,
        )
        return Measurement(value, variance, at_edge=touched) if whole else None

    def correct(
        self,
        table: TrackTable,
        pairs: Matches,
        found: Measurement,
        seen: Observations,
        fade: Floats,
        times: Floats,
    ) -> tuple[Floats, Floats]:
        """See `kernels.correct`; `found` is of `measure`."""
        elapsed_s, product = self._kernels.correct(
            table.motion.state,
            table.floats,
            table.integers,
            pairs.column,
            found.value,
            found.variance,
            found.at_edge,
            seen.scores,
            fade,
            times,
            (pairs.everyone, self._anchored, self._learns, self._settings.keeps_size),
        )
        return elapsed_s, product

    def weigh(
        self, table: TrackTable, column: Rows, seen: Observations, elapsed_s: Floats, unread_s: float, how: ViewWeights
    ) -> tuple[bool, Floats, Floats, NDArray[np.int64]]:
        """See `kernels.weigh`."""
        said: tuple[bool, Floats, Floats, NDArray[np.int64]] = self._kernels.weigh(
            table.motion.mean,
            table.floats,
            table.integers,
            column,
            seen.scores,
            seen.class_ids,
            elapsed_s,
            unread_s,
            how.views,
            how.trust,
        )
        return said


def main() -> None:
    """Compile the kernels into numba's cache, in the background of whatever else the machine does."""
    if hasattr(os, "nice"):
        os.nice(19)
    compile_kernels()


if __name__ == "__main__":
    main()

"""How far a run is: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TextIO

from tqdm import tqdm

#: A log gets one line per this share of the steps, beside the line of each validation.
_LOG_SHARE = 0.1


@dataclass(frozen=True)
class Watchers:
    """Who is told about a run while it goes on; by default nobody.

    Attributes:
        stepped: is given the step just done, the planned steps and the loss.
        validated: is given each line of metrics.jsonl.
        said: is given a sentence for people.
    """

    stepped: Callable[[int, int, float], None] = lambda step, planned, loss: None
    validated: Callable[[Mapping[str, object]], None] = lambda line: None
    said: Callable[[str], None] = lambda text: None


NOBODY = Watchers()


class ProgressLine:
    """Shows a run. Use as a context manager, so that the bar is cleared on errors."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._bar: tqdm[Any] | None = None
        self._said = 0.0

    def watchers(self) -> Watchers:
        """Return what a run tells its progress to."""
        return Watchers(self._step, self._validation, self._say)

    def __enter__(self) -> ProgressLine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def _step(self, step: int, planned: int, loss: float) -> None:
        if self._stream.isatty():
            if self._bar is None:
                self._bar = tqdm(total=planned, initial=step - 1, unit="step", file=self._stream, dynamic_ncols=True)
            self._bar.set_postfix(loss=f"{loss:.3f}", refresh=False)
            self._bar.update(step - self._bar.n)
        elif step == planned or step / planned >= self._said + _LOG_SHARE:
            self._said = step / planned
            self._say(f"step {step} of {planned}  loss {loss:.3f}")

    def _validation(self, line: Mapping[str, object]) -> None:
        parts = [f"epoch {line['epoch']}", f"step {line['step']} of {line['planned_steps']}"]
        parts += [f"{name} {value:.3f}" for name, value in line.items() if isinstance(value, float) and name != "rate"]
        self._say("  ".join(parts))

    def _say(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)

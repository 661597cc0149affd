"""`traylane VERB …`: finds the verbs, runs one, and tells every expected error in a line and an exit code.

A verb is an entry point of the group `traylane.commands`: `add(subparsers)` adds its parser and sets
`run=function(args) -> int`. Verbs import what is heavy inside `run`, so that `--help` answers at once.

Exit codes: 0 ok, 1 other, 2 usage or configuration, 3 model, 4 store or schema, 5 source, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version

from app.logs import LEVELS, set_up_logs
from core.errors import TraylaneError

INTERRUPTED = 130
PIPE_CLOSED = 141

# Absent on an appliance, on purpose.
_LAB = frozenset({"torch", "torchvision", "onnx", "onnxscript", "training", "replay"})


class _NotInstalled(TraylaneError):
    """The verb, or what it needs, is not part of this installation."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (that of the process by default) and return its exit code."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        parser = _parser(arguments)
        args, unknown = parser.parse_known_args(arguments)
        # What an absent verb would understand is not known here; that it is absent is the answer.
        if unknown and not getattr(args, "absent", False):
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        set_up_logs(args.log_level, args.log_json)
        code: int = args.run(args)
        # Here, where it can be answered: at interpreter exit a closed pipe would print a traceback.
        sys.stdout.flush()
        return code
    except TraylaneError as err:
        return _fail(err)
    except ModuleNotFoundError as err:
        if _top(err) not in _LAB:
            raise
        return _fail(_not_installed(err))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`| head`). Nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


def _fail(err: TraylaneError) -> int:
    for line in str(err).splitlines() or [type(err).__name__]:
        print(f"traylane: error: {line}", file=sys.stderr)
    return err.exit_code


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="traylane",
        description="Watches checkout lanes: camera, detector, tracker, one bill line per dish.",
        epilog="exit codes: 0 ok, 1 other, 2 usage or configuration, 3 model, 4 store or schema, 5 source",
    )
    parser.add_argument("--version", action="version", version=f"traylane {_version()}")
    parser.add_argument("--log-level", choices=LEVELS, default="info", help="least important log line shown (info)")
    parser.add_argument("--log-json", action="store_true", help="write logs as JSON lines, for machines")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    verbs = _verbs()
    # Only the verb that was asked for is imported; all of them for the list in --help or in an error.
    asked = [verb for verb in verbs if verb.name in arguments]
    for verb in asked[:1] if len(asked) == 1 else verbs:
        _add(verb, subparsers)
    return parser


def _verbs() -> list[EntryPoint]:
    """Return the verbs by name, each once (an editable installation may be listed twice)."""
    found = {verb.name: verb for verb in entry_points(group="traylane.commands")}
    if not found:
        raise _NotInstalled("no verbs found: Traylane is not installed; run `make run`, or `pip install -e .`")
    return [found[name] for name in sorted(found)]


def _add(verb: EntryPoint, subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add a verb's parser; one that cannot be imported here is listed, and says so when it is used."""
    try:
        verb.load()(subparsers)
    except ModuleNotFoundError as err:
        reason = _not_installed(err)
        absent = subparsers.add_parser(verb.name, help=_short(err), description=str(reason))
        absent.set_defaults(run=_refusal(reason), absent=True)


def _refusal(reason: _NotInstalled) -> Callable[[argparse.Namespace], int]:
    def refuse(_: argparse.Namespace) -> int:
        raise reason

    return refuse


def _top(err: ModuleNotFoundError) -> str:
    return (err.name or "").partition(".")[0]


def _short(err: ModuleNotFoundError) -> str:
    return "not installed here: needs the lab extra" if _top(err) in _LAB else f"not installed here: no {err.name}"


def _not_installed(err: ModuleNotFoundError) -> _NotInstalled:
    if _top(err) in _LAB:
        return _NotInstalled(f"not installed here (no {err.name}): needs the lab extra; pip install 'traylane[lab]'")
    return _NotInstalled(f"not installed here (no {err.name}): this installation is not complete; install it again")


def _version() -> str:
    try:
        return version("traylane")
    except PackageNotFoundError:
        return "(not installed)"

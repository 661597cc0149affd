"""The command line: verbs, exit codes, one line per error."""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import pytest

import app.cli
from app.cli import main
from core.errors import (
    ConfigError,
    ModelNotFound,
    PortTaken,
    SchemaMismatch,
    SourceRefused,
    StoreUnavailable,
    TraylaneError,
)

_ROOT = Path(__file__).parents[3]


class Verb:
    """An entry point whose `run` does what the test says."""

    def __init__(self, name: str, run: Callable[[argparse.Namespace], int] | None, absent: str = "") -> None:
        self.name, self._run, self._absent = name, run, absent

    def load(self) -> Callable[..., None]:
        if self._absent:
            raise ModuleNotFoundError(f"No module named {self._absent!r}", name=self._absent)

        def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
            subparsers.add_parser(self.name, help=f"does {self.name}").set_defaults(run=self._run)

        return add


def raising(err: BaseException) -> Callable[[argparse.Namespace], int]:
    def run(_: argparse.Namespace) -> int:
        raise err

    return run


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def use(monkeypatch: pytest.MonkeyPatch, *verbs: Verb) -> None:
    monkeypatch.setattr(app.cli, "_verbs", lambda: list(verbs))


@pytest.mark.parametrize(
    ("err", "code"),
    [
        (TraylaneError("a: b"), 1),
        (ConfigError("a: b"), 2),
        (PortTaken("a: b"), 2),
        (ModelNotFound("a: b"), 3),
        (StoreUnavailable("a: b"), 4),
        (SchemaMismatch("a: b"), 4),
        (SourceRefused("a: b"), 5),
    ],
)
def test_an_expected_error_is_a_line_and_a_code(
    err: TraylaneError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Verb("go", raising(err)))
    assert main(["go"]) == code
    assert capsys.readouterr().err == "traylane: error: a: b\n"


def test_each_line_of_an_error_is_marked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use(monkeypatch, Verb("go", raising(ConfigError("x.yaml:1: a: wrong\nx.yaml:2: b: wrong"))))
    main(["go"])
    assert capsys.readouterr().err == "traylane: error: x.yaml:1: a: wrong\ntraylane: error: x.yaml:2: b: wrong\n"


def test_our_own_faults_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Verb("go", raising(ValueError("a bug"))))
    with pytest.raises(ValueError, match="a bug"):
        main(["go"])
    use(monkeypatch, Verb("go", raising(ModuleNotFoundError("No module named 'numpyy'", name="numpyy"))))
    with pytest.raises(ModuleNotFoundError):
        main(["go"])


def test_the_code_of_the_verb_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Verb("go", lambda _: 7))
    assert main(["go"]) == 7


def test_control_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    use(monkeypatch, Verb("go", raising(KeyboardInterrupt())))
    assert main(["go"]) == 130
    assert capsys.readouterr().err == ""


def test_an_absent_verb_is_listed_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Verb("go", lambda _: 0), Verb("train", None, absent="torch"))
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "not installed here: needs the lab extra" in capsys.readouterr().out
    assert main(["train", "--data", "x"]) == 1
    assert capsys.readouterr().err == (
        "traylane: error: not installed here (no torch): needs the lab extra; pip install 'traylane[lab]'\n"
    )


def test_a_verb_that_needs_the_lab_while_running(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Verb("go", raising(ModuleNotFoundError("No module named 'torch'", name="torch"))))
    assert main(["go"]) == 1
    assert "needs the lab extra" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["unknown-verb"], ["--log-level", "loud", "go"]])
def test_wrong_usage_is_code_2(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Verb("go", lambda _: 0))
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: traylane" in capsys.readouterr().err


def test_an_installation_without_verbs_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(app.cli, "entry_points", lambda **_: ())
    assert main(["run"]) == 1
    assert "Traylane is not installed" in capsys.readouterr().err


def log_a_secret(_: argparse.Namespace) -> int:
    logging.getLogger("lane").warning("cannot open %s", "rtsp://bob:pa55@cam/1", extra={"lane_id": "lane1"})
    logging.getLogger("lane").info("not shown")
    return 0


def test_logs_are_json_on_demand_and_hide_credentials(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use(monkeypatch, Verb("go", log_a_secret))
    assert main(["--log-json", "--log-level", "warning", "go"]) == 0
    record = json.loads(capsys.readouterr().err)
    assert record["message"] == "cannot open rtsp://***@cam/1"
    assert (record["level"], record["logger"], record["lane_id"]) == ("warning", "lane", "lane1")
    main(["--log-level", "warning", "go"])
    assert capsys.readouterr().err.endswith("warning lane: cannot open rtsp://***@cam/1\n")


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app", *arguments]
    return subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=60)


def test_the_version_is_told() -> None:
    assert run_cli("--version").stdout.startswith("traylane 0.")


def test_help_lists_every_verb_and_imports_nothing_heavy() -> None:
    heavy = "cv2 onnxruntime torch flask sqlalchemy scipy av"
    program = (
        "import sys\nfrom app.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', [name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, timeout=60)
    verbs = {verb.name for verb in entry_points(group="traylane.commands")}
    assert {"run", "doctor", "replay"} <= verbs
    for name in verbs:
        assert f"\n    {name} " in done.stdout, name
    assert done.stdout.endswith("HEAVY []\n")


def entry_names() -> list[str]:
    return sorted({verb.name for verb in entry_points(group="traylane.commands")})


@pytest.mark.parametrize("name", entry_names())
def test_each_verb_has_a_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([name, "--help"])
    assert caught.value.code == 0
    assert f"usage: traylane {name}" in capsys.readouterr().out


def test_a_closed_pipe_is_quiet() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from app.cli import main; sys.exit(main(['doctor', '--help']))"],
        cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    process.wait(30)
    assert b"Traceback" not in told


def test_a_name_listed_twice_is_one_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = EntryPoint("run", "app.commands.run:add", "traylane.commands")
    monkeypatch.setattr(app.cli, "entry_points", lambda **_: (twice, twice))
    assert [verb.name for verb in app.cli._verbs()] == ["run"]

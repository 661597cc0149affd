"""The run of a head: repeats byte for byte, goes on after a stop, keeps a history, refuses what is not its own."""

import json
from functools import partial

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from core.errors import ConfigError, ModelError, ModelMismatch, ModelNotFound
from training.finetune.checkpoints import read_pt, write_pt
from training.patches.head import fresh_head, patch_probabilities
from training.patches.settings import HeadSettings
from training.patches.training import Rows, Task, Validated, history, read_best, train_head

SETTINGS = HeadSettings(hidden=8, rounds=8, batch=16, history=5, rate=0.2)
X = np.random.default_rng(0).normal(size=(64, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def task(identity: str = "{}", targets=Y) -> Task:
    def rows(round_: int) -> Rows:
        chosen = np.random.default_rng(round_).permutation(64)[:48]
        return Rows(X[chosen], targets[chosen])

    def validate(head) -> Validated:
        right = float((patch_probabilities(head, X)[:, 1] > 0.5).astype(int).__eq__(Y).mean())
        return Validated(right, 2.0, {"2": right})

    return Task(partial(fresh_head, X, 3, SETTINGS), rows, cross_entropy, validate, identity)


def run(out, settings=SETTINGS, on_round=lambda line: None, **changes):
    out.mkdir(exist_ok=True)
    return train_head(task(**changes), settings, 1, out, on_round)


def content(out) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
def test_a_stopped_run_ends_as_one_that_was_not(tmp_path, optimiser):
    settings = SETTINGS.model_copy(update={"optimiser": optimiser})

    def stop(line):
        if line["step"] == 5:
            raise KeyboardInterrupt

    run(tmp_path / "whole", settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", settings, stop)
    # What a kill between the log and the checkpoint leaves: a line too many, half a line, a newer best.pt.
    with (tmp_path / "stopped" / "metrics.jsonl").open("a") as log:
        log.write('{"step": 6, "loss": 1}\n{"step": 7, "lo')
    run(tmp_path / "stopped", settings)
    assert content(tmp_path / "whole") == content(tmp_path / "stopped")


def test_it_learns_and_the_best_round_is_chosen_and_the_last_are_kept(tmp_path):
    best = run(tmp_path / "run")
    lines = history(tmp_path / "run")
    assert best.score > 0.9
    assert best.score == max(line["map"] for line in lines)
    assert best.round == next(line["step"] for line in lines if line["map"] == best.score)
    assert [line["file"] for line in lines if line["file"]] == [f"round-{n:05d}.pt" for n in range(4, 9)]
    assert sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir()) == [
        f"round-{n:05d}.pt" for n in range(4, 9)
    ]


def test_a_broken_checkpoint_is_passed_over(tmp_path):
    run(tmp_path / "a")
    whole = content(tmp_path / "a")
    newest = tmp_path / "a" / "checkpoints" / "round-00008.pt"
    newest.write_bytes(newest.read_bytes()[:500])
    run(tmp_path / "a")
    assert content(tmp_path / "a") == whole


def test_another_runs_checkpoint_is_refused_by_what_differs(tmp_path):
    run(tmp_path / "a", identity=json.dumps({"settings": 1, "weights": "x"}))
    with pytest.raises(ConfigError, match=r"another study \(other weights\)"):
        run(tmp_path / "a", identity=json.dumps({"settings": 1, "weights": "y"}))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    bad = partial(fresh_head, np.full_like(X, np.nan), 3, SETTINGS)
    broken = Task(bad, task().rows, cross_entropy, task().validate, "{}")
    with pytest.raises(ModelError, match="not finite; lower --rate"):
        train_head(broken, SETTINGS, 1, tmp_path, lambda line: None)


def test_no_best_and_a_foreign_best_are_told(tmp_path):
    with pytest.raises(ModelNotFound):
        read_best(tmp_path)
    write_pt(tmp_path / "best.pt", {"weights": torch.zeros(1)})
    with pytest.raises(ModelMismatch, match="not the best head"):
        read_best(tmp_path)
    assert "weights" in read_pt(tmp_path / "best.pt")

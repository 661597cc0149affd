"""Score records on disk: one file for a model, that grows by a set with each evaluation."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import ValidationError

from core.errors import ConfigError, FormatError
from core.files import write_atomic
from models.gate import ScoreRecord, SetScores


def read_record(path: Path) -> ScoreRecord | None:
    """Return the record in a file, None where there is no file.

    Raises:
        FormatError: the file is not a score record.
    """
    try:
        return ScoreRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as err:
        raise FormatError(str(path), f"not a score record ({err.errors()[0]['msg']}); move it away") from err
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from err


def merged(old: ScoreRecord | None, new: ScoreRecord, where: Path) -> ScoreRecord:
    """Return the record with the new sets in the place of those of the same role and name or pictures.

    Raises:
        ConfigError: the old record is of other weights: figures of two models never mix.
    """
    if old is None:
        return new
    if (old.model, old.weights_sha256) != (new.model, new.weights_sha256):
        raise ConfigError(
            f"{where}: holds scores of {old.model} with weights {old.weights_sha256[:12]}…, these are of {new.model} "
            f"with {new.weights_sha256[:12]}…; give another --out, or move that file away"
        )
    kept = [scores for scores in old.sets if not any(_same_set(scores, other) for other in new.sets)]
    return new.model_copy(update={"sets": (*kept, *new.sets)})


def write_record(path: Path, record: ScoreRecord) -> None:
    """Write a record, whole or not at all; what is not a number is written as unknown."""
    content = json.dumps(json.loads(record.model_dump_json()), indent=1, ensure_ascii=False)
    # The outcomes of pictures are long rows of numbers: one line each.
    content = re.sub(r"\[\s+(\d[\d,\s]*?)\s+\]", lambda row: "[" + "".join(row[1].split()) + "]", content)
    write_atomic(path, content + "\n")


def frozen_threshold_of(record: ScoreRecord | None) -> tuple[float, str] | None:
    """Return the threshold that was frozen on development pictures, and the name of that set; None without one."""
    for scores in reversed(record.sets if record else ()):
        if scores.role == "development" and scores.frozen_threshold is not None:
            return scores.frozen_threshold, scores.name
    return None


def _same_set(a: SetScores, b: SetScores) -> bool:
    return a.role == b.role and (a.data_sha256 == b.data_sha256 or a.name == b.name)

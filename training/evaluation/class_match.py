"""Which label of a model is which label of a set: by name, by a given map, or all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.errors import ConfigError
from core.records import HAND, Detections
from training.detection_scores import Found

#: What `--class-map OLD=` says: detections of OLD are left out.
LEFT_OUT = ""


@dataclass(frozen=True)
class ClassMatch:
    """The labels of a model in terms of those of a set.

    Attributes:
        of_label: (L,) index into the set's labels for each of the model's, -1 where its detections are left out.
        classes: how many labels the set has.
        notes: what a reader of the figures must know, one line each.
    """

    of_label: NDArray[np.int64]
    classes: int
    notes: tuple[str, ...] = ()

    def translate(self, detections: Detections) -> Found:
        """Return a picture's detections with the set's classes; what the set cannot judge is left out."""
        classes = self.of_label[detections.class_ids]
        kept = classes >= 0
        probs = None
        if detections.class_probs is not None:
            probs = np.zeros((len(detections), self.classes), dtype=np.float32)
            known = np.flatnonzero(self.of_label >= 0)
            np.add.at(probs.T, self.of_label[known], detections.class_probs[:, known].T)
            probs = probs[kept]
        return Found(detections.boxes[kept], detections.scores[kept], classes[kept], probs)


def match_classes(model: Sequence[str], wanted: Sequence[str], class_map: Mapping[str, str]) -> ClassMatch:
    """Match labels by name; case and the difference of space, "-" and "_" do not count where it is unambiguous.

    Args:
        model: the model's labels.
        wanted: the set's labels.
        class_map: model label -> set label (or LEFT_OUT); goes before the name.

    Raises:
        ConfigError: the map names a label that is not there, or no label matches at all.
    """
    check_map(model, wanted, class_map)
    exact = {label: i for i, label in enumerate(wanted)}
    plain = _unambiguous(wanted)
    of_label = np.full(len(model), -1, dtype=np.int64)
    for i, label in enumerate(model):
        if label in class_map:
            of_label[i] = exact.get(class_map[label], -1)
        else:
            of_label[i] = exact.get(label, plain.get(_plain(label), -1))
    if (of_label < 0).all():
        raise ConfigError(
            f"no class of the model is one of the set: the model knows {_list(model)}; the set has {_list(wanted)}; "
            "name pairs with --class-map MODEL=SET,…, or give --agnostic to leave classes out of it"
        )
    left = [label for label, at in zip(model, of_label, strict=True) if at < 0]
    unknown = [label for i, label in enumerate(wanted) if i not in of_label]
    notes = []
    if left:
        notes.append(f"Left out, as the set has no such class: the model's {_list(left)}.")
    if unknown:
        notes.append(f"The model does not know {_list(unknown)}: each object of it counts as missed.")
    return ClassMatch(of_label, len(wanted), tuple(notes))


def match_any(model: Sequence[str], class_map: Mapping[str, str]) -> ClassMatch:
    """Let every label of the model be the one class of a set, but hands and those that the map leaves out.

    Raises:
        ConfigError: the map names a label that the model does not have, or nothing is left.
    """
    check_map(model, None, class_map)
    left = [label for label in model if label == HAND or class_map.get(label) == LEFT_OUT]
    of_label = np.array([-1 if label in left else 0 for label in model], dtype=np.int64)
    if (of_label < 0).all():
        raise ConfigError(f"every class of the model is left out: {_list(model)}; leave one in")
    notes = (f"Left out: the model's {_list(left)}.",) if left else ()
    return ClassMatch(of_label, 1, notes)


def parse_map(text: str | None) -> dict[str, str]:
    """Return the map that `--class-map old=new,old=` says.

    >>> parse_map("cup=tea, person=")
    {'cup': 'tea', 'person': ''}
    """
    pairs: dict[str, str] = {}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        old, sign, new = part.partition("=")
        if not sign or not old.strip():
            raise ConfigError(
                f"--class-map {part.strip()!r}: write MODEL=SET pairs with commas, MODEL= to leave it out"
            )
        if old.strip() in pairs:
            raise ConfigError(f"--class-map: {old.strip()} stands there twice")
        pairs[old.strip()] = new.strip()
    return pairs


def check_map(model: Sequence[str], wanted: Sequence[str] | None, class_map: Mapping[str, str]) -> None:
    """Raise ConfigError when a map names labels that are not there; `wanted` None: only the model's side counts."""
    for old, new in class_map.items():
        if old not in model:
            raise ConfigError(f"--class-map: the model has no class {old!r}; it knows {_list(model)}")
        if wanted is not None and new != LEFT_OUT and new not in wanted:
            raise ConfigError(f"--class-map: the set has no class {new!r}; it has {_list(wanted)}")


def _unambiguous(labels: Sequence[str]) -> dict[str, int]:
    plain = [_plain(label) for label in labels]
    return {name: i for i, name in enumerate(plain) if plain.count(name) == 1}


def _plain(label: str) -> str:
    return label.casefold().replace("_", " ").replace("-", " ").strip()


def _list(labels: Sequence[str], most: int = 8) -> str:
    return ", ".join(labels[:most]) + (f" and {len(labels) - most} more" if len(labels) > most else "")

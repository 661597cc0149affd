"""The registry: models that were brought in, which of them is in force where, and where they come from.

    weights/SHA256.onnx              by content: a name can never mean other bytes
    cards/NAME@VERSION.yaml          the commit point of an import: written last
    cards/NAME@VERSION.scores.json   what was measured of it (models/gate.py)
    current.json, history.jsonl      see promotions.py

The shipped models belong to it, too: they are listed, promoted and compared like those of the folder.
"""

from __future__ import annotations

import getpass
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import yaml
from pydantic import ValidationError

from core.errors import ModelError, ModelMismatch, ModelNotFound
from models.card import SHIPPED, ModelCard, Precision, Variant, load_card, read_card
from models.gate import GateRules, ScoreRecord, Verdict, judge
from models.promotions import DEFAULT_CHANNEL, Entry, Held, Promotions, check_channel, write_whole

#: The reference that means: what is promoted for this lane, or else for all.
CURRENT = "@current"

_REF = r"[a-z0-9][a-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9_.-]*"
Origin = Literal["shipped", "registry"]


class PromotionRefused(ModelError):
    """The gate does not let a model in; its reasons are in the message, one a line."""


@dataclass(frozen=True)
class Known:
    """A model that can be named.

    Attributes:
        card: as it is written; its weights are neither looked for nor checked.
        path: of the card.
        origin: shipped with the product, or in the registry's folder.
    """

    card: ModelCard
    path: Path
    origin: Origin


class Registry:
    """All models of a site.

    Args:
        folder: of the registry; made by the first import or promotion.
        shipped: folder of the shipped cards.
        now: tells the time of a change.
    """

    def __init__(self, folder: Path, shipped: Path = SHIPPED, now: Callable[[], datetime] | None = None) -> None:
        self.folder, self._shipped = folder, shipped
        self._cards, self._weights = folder / "cards", folder / "weights"
        self._now = now or (lambda: datetime.now(UTC))
        self.promotions = Promotions(folder)

    def models(self) -> list[Known]:
        """Return every model, shipped ones first.

        Raises:
            ConfigError: a card is broken.
        """
        return [
            Known(read_card(path), path, origin)
            for place, origin in self._places()
            for path in sorted(place.glob("*.yaml"))
        ]

    def find(self, ref: str) -> Known:
        """Return the model `NAME@VERSION`.

        Raises:
            ModelNotFound: there is none of that name.
        """
        if self.names(ref):
            # Cards are named after their models: a broken one elsewhere must not keep a lane from starting.
            for place, origin in self._places():
                path = place / f"{ref}.yaml"
                if path.is_file() and (card := read_card(path)).ref == ref:
                    return Known(card, path, origin)
        names = ", ".join(known.card.ref for known in self.models()) or "none"
        raise ModelNotFound(f"{ref}: no such model (there are: {names}); see `traylane models list`")

    def names(self, ref: str) -> bool:
        """Whether `ref` is written like the name of a model, NAME@VERSION, and not like a path or a channel."""
        return re.fullmatch(_REF, ref) is not None and not ref.endswith((".yaml", ".yml", ".onnx"))

    def load(self, ref: str, precision: Precision | Literal["auto"] | None = None) -> ModelCard:
        """Return the card of `NAME@VERSION`, its weights found and their hash checked; see `load_card`."""
        return load_card(str(self.find(ref).path.resolve()), precision=precision)

    def channel_of(self, ref: str, lane: str | None = None) -> str:
        """Return the channel that "@current" or "@CHANNEL" means for a lane: its own where it has one.

        Raises:
            ModelNotFound: nothing is promoted there.
        """
        channels = self.promotions.current()
        name = ref.removeprefix("@")
        wanted = (lane, DEFAULT_CHANNEL) if ref == CURRENT else (name,)
        for channel in wanted:
            if channel in channels:
                return str(channel)
        to = "" if ref == CURRENT or name == DEFAULT_CHANNEL else f" --channel {name}"
        raise ModelNotFound(
            f"models.detector.card: {ref}: nothing is promoted there (registry {self.folder}); "
            f"run `traylane models promote NAME@VERSION{to}`, or name a model, such as traynet@1"
        )

    def resolve(
        self, ref: str, lane: str | None = None, precision: Precision | Literal["auto"] | None = None
    ) -> ModelCard:
        """Return the card of the model that "@current" or "@CHANNEL" means, its weights checked.

        Args:
            ref: starts with "@".
            lane: whose own channel goes before the default one, for "@current".
            precision: see `load_card`.

        Raises:
            ModelNotFound: nothing is promoted there, or the model is gone.
            ModelMismatch: its weights are not those that were promoted.
        """
        held = self.promotions.current()[self.channel_of(ref, lane)]
        known = self.find(held.model)
        self._check_held(known.card, held)
        return load_card(str(known.path.resolve()), precision=precision)

    def scores(self, ref: str) -> ScoreRecord | None:
        """Return what was measured of a model, None when nothing was.

        Raises:
            ModelMismatch: the record is broken, or about other weights.
        """
        known = self.find(ref)
        beside = known.path.with_name(f"{ref}.scores.json")
        path = next((place for place in (self._scores_path(ref), beside) if place.is_file()), None)
        return None if path is None else read_scores(path, known.card)

    def keep_scores(self, ref: str, record: ScoreRecord) -> Path:
        """Keep a score record in the registry, also a shipped model's; return where.

        Raises:
            ModelError: it cannot be written.
        """
        path = self._scores_path(self.find(ref).card.ref)
        with self.promotions.locked():
            write_whole(path, record.model_dump_json(indent=1) + "\n")
        return path

    def add(self, card: ModelCard, scores: ScoreRecord | None = None) -> Known:
        """Bring a model in: weights, scores, and last its card.

        Args:
            card: with an absolute `file` (and `file` of its variants), tried already.
            scores: what was measured of it.

        Raises:
            ModelMismatch: there is a model of that name and version, or of these very weights.
            ModelError: the registry cannot be written; then the model is not there.
        """
        with self.promotions.locked():
            self._check_new(card)
            second = card.second_stage
            if second is not None:
                second = second.model_copy(update={"file": self._keep_weights(second.file, second.sha256)})
            kept = card.model_copy(
                update={
                    "second_stage": second,
                    "file": self._keep_weights(card.file, card.sha256),
                    "variants": {
                        name: Variant(file=self._keep_weights(v.file, v.sha256), sha256=v.sha256, scores=v.scores)
                        for name, v in card.variants.items()
                    },
                }
            )
            path = self._cards / f"{card.ref}.yaml"
            if scores is not None:
                write_whole(self._scores_path(card.ref), scores.model_dump_json(indent=1) + "\n")
            else:  # those of an import that died before its card was written
                self._scores_path(card.ref).unlink(missing_ok=True)
            content = kept.model_dump(mode="json", exclude_defaults=True)
            write_whole(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))
        return Known(read_card(path), path, "registry")

    def promote(
        self, ref: str, channel: str = DEFAULT_CHANNEL, rules: GateRules | None = None, force: str = ""
    ) -> tuple[Entry, Verdict]:
        """Put a model in force if the gate lets it, or if `force` says why it shall be all the same.

        Args:
            ref: NAME@VERSION.
            channel: default, or a lane's id.
            rules: of the gate.
            force: the reason to overrule the gate; written down.

        Raises:
            PromotionRefused: the gate refuses.
            ModelMismatch: the channel runs it already, or the weights are not those of the card.
            ModelNotFound: no such model, or its weights are missing.
            ModelError: it cannot be written; then nothing has changed.
        """
        check_channel(channel)
        with self.promotions.locked():
            card = self.load(ref)
            card.check_task("detect")  # a channel holds what lanes detect with
            wanted = Held(model=card.ref, weights_sha256=card.sha256)
            held = self.promotions.holder(channel)
            if held == wanted:
                raise ModelMismatch(f"{ref} is what channel {channel} runs already")
            verdict = self._verdict(ref, held, rules)
            if not verdict.passed and not force:
                told = "\n".join(f"  - {reason}" for reason in verdict.reasons)
                raise PromotionRefused(
                    f"{ref} is not promoted to {channel}:\n{told}\nto overrule: --force REASON, which is written down"
                )
            entry = self._entry("promote", channel, wanted).model_copy(
                update={
                    "gate": "passed" if verdict.passed else "refused",
                    "reasons": verdict.reasons,
                    "forced": "" if verdict.passed else force,
                }
            )
            return self.promotions.promote(channel, wanted, entry), verdict

    def roll_back(self, channel: str = DEFAULT_CHANNEL) -> Entry:
        """Put the model before the one in force back.

        Raises:
            ModelNotFound: there is none, or it is gone.
            ModelMismatch: its weights are no longer those of then.
            ModelError: it cannot be written; then nothing has changed.
        """
        with self.promotions.locked():
            before = self.promotions.before(channel)
            self._check_held(self.load(before.model), before)
            return self.promotions.roll_back(channel, self._entry("rollback", channel, before))

    def verdict(self, ref: str, channel: str = DEFAULT_CHANNEL) -> Verdict:
        """Return what the gate would say if `ref` were promoted to `channel` now; nothing changes.

        Raises:
            ModelNotFound: no such model.
            ModelMismatch: scores are broken, or about other weights.
        """
        return self._verdict(self.find(ref).card.ref, self.promotions.holder(channel), None)

    def _verdict(self, ref: str, held: Held | None, rules: GateRules | None) -> Verdict:
        mine = self.scores(ref)
        theirs = None if held is None else self.scores(held.model)
        missing = [] if mine is not None else [ref]
        if held is not None and theirs is None:
            missing.append(held.model)
        if mine is None or missing:
            reasons = [f"{name} has no scores; run `traylane evaluate {name} --data PATH`" for name in missing]
            return Verdict(False, tuple(reasons), ())
        return judge(mine, theirs, rules)

    def _entry(self, action: Literal["promote", "rollback"], channel: str, model: Held) -> Entry:
        return Entry(
            sequence=1,
            utc=self._now().isoformat(timespec="seconds"),
            action=action,
            channel=channel,
            model=model.model,
            weights_sha256=model.weights_sha256,
            gate="none",
            user=_user(),
        )

    def _scores_path(self, ref: str) -> Path:
        return self._cards / f"{ref}.scores.json"

    def _places(self) -> tuple[tuple[Path, Origin], ...]:
        return (self._shipped, "shipped"), (self._cards, "registry")

    def _check_held(self, card: ModelCard, held: Held) -> None:
        if card.sha256 != held.weights_sha256:
            raise ModelMismatch(
                f"{held.model}: its weights are {card.sha256[:12]}…, promoted were {held.weights_sha256[:12]}…; give "
                "other weights another version, and promote that"
            )

    def _check_new(self, card: ModelCard) -> None:
        for known in self.models():
            if known.card.ref == card.ref:
                raise ModelMismatch(
                    f"{card.ref}: there is a model of that name and version ({known.origin}); choose another --version"
                )
            if known.card.sha256 == card.sha256 and known.card.class_map == card.class_map:
                raise ModelMismatch(
                    f"{card.ref}: weights and class map are those of {known.card.ref} ({known.origin}); use that one"
                )

    def _keep_weights(self, file: str, sha256: str) -> str:
        """Copy weights into the registry unless they are there; return their path as a card names it."""
        place = self._weights / f"{sha256}.onnx"
        if not place.is_file():
            try:
                content = Path(file).read_bytes()
            except OSError as err:
                raise ModelNotFound(f"{file}: cannot be read: {err.strerror}") from err
            write_whole(place, content)
        return f"../{self._weights.name}/{place.name}"


def read_scores(path: Path, card: ModelCard) -> ScoreRecord:
    """Return a score record that is about the weights of `card`.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: it is broken, or about other weights.
    """
    try:
        record = ScoreRecord.model_validate_json(path.read_bytes())
    except FileNotFoundError as err:
        raise ModelNotFound(f"{path}: no such score record; `traylane evaluate` writes one") from err
    except (OSError, ValidationError) as err:
        raise ModelMismatch(
            f"{path}: not a score record ({str(err).splitlines()[0]}); evaluate the model again"
        ) from err
    if record.weights_sha256 not in {card.sha256, *(variant.sha256 for variant in card.variants.values())}:
        raise ModelMismatch(
            f"{path}: scores of the weights {record.weights_sha256[:12]}…, {card.ref} has {card.sha256[:12]}…; "
            f"evaluate {card.ref} itself"
        )
    return record


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return ""

"""From the configuration to objects that run: the only file that names concrete classes."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from checkout.config import LaneConfig, LoadedConfig, load_config
from checkout.evidence.journal import JournalledPolicy, JournalSink
from checkout.evidence.keeper import EvidenceKeeper
from checkout.evidence.packet import Rules
from checkout.lane import Lane
from checkout.live_menu import Knowledge, LiveMenu
from checkout.menu import Menu, load_menu
from checkout.menu_store import MenuStore
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.presence import FrameSize
from checkout.recognition import Recogniser
from checkout.teaching import Teacher
from checkout.zones import Zone, make_zones
from core.clock import Clock
from core.errors import ConfigError
from models.bare_onnx import find_model
from models.batching import share
from models.card import ModelCard
from models.detector import Detector
from models.device import find_device
from models.embedder import Embedder
from models.ort_detector import OrtDetector
from models.ort_embedder import OrtEmbedder
from models.registry import Registry
from models.settings import DetectorSettings
from store.engine import open_store
from store.spool import Spool
from store.sql_store import SqlStore
from streams.factory import make_source
from streams.source import Source, SourceSettings, content_key
from tracker.tracker import MultiObjectTracker

#: The configuration that is in force when none is given: our own detector, the whole frame as the tray zone, demo menu.
DEFAULT_CONFIG = Path(__file__).resolve().parent.parent / "configs" / "lane.yaml"


def default_config() -> LoadedConfig:
    """Return the shipped configuration."""
    return load_config(DEFAULT_CONFIG)


def build_menu(config: LoadedConfig) -> Menu:
    """Read the menu that the configuration names.

    Raises:
        ConfigError: the menu file is missing or wrong.
    """
    return load_menu(config.find(config.site.menu.file, "menu.file"))


def build_menu_store(config: LoadedConfig, clock: Clock) -> MenuStore | None:
    """Return where taught dishes are kept; None where the configuration says that none are."""
    folder = config.site.menu.store
    return None if folder is None else MenuStore(folder, clock)


def build_embedder(config: LoadedConfig) -> Embedder:
    """Load the model that tells taught dishes apart.

    Raises:
        ConfigError: the configuration names none.
        ModelError: it is missing, or is not what its card says.
    """
    settings = config.site.models.embedder
    if settings is None:
        raise ConfigError(f"{config.name}: models.embedder is null, so dishes cannot be taught; name a card there")
    card = find_model(settings.card, config.folder, registry=build_registry(config))
    return OrtEmbedder(card, settings, find_device(settings.device))


def build_live_menu(config: LoadedConfig, clock: Clock, base: Menu | None = None) -> LiveMenu:
    """Return what follows the taught menu for the lanes of a process; nothing is read yet.

    Raises:
        ConfigError: the menu file is missing or wrong.
    """

    def today() -> datetime.date:
        return datetime.datetime.fromtimestamp(clock.utc_s()).astimezone().date()

    store = build_menu_store(config, clock)
    return LiveMenu(store, base or build_menu(config), lambda: build_embedder(config), today)


def build_teacher(config: LoadedConfig, clock: Clock) -> Teacher:
    """Return what teaches dishes; models are loaded with the first photo.

    Raises:
        ConfigError: the configuration has no menu store, or the menu file is wrong.
    """
    store = build_menu_store(config, clock)
    if store is None:
        raise ConfigError(f"{config.name}: menu.store is null, so dishes cannot be taught; name a folder there")
    finder = config.site.models.detector.model_copy(update={"items_only": True})
    return Teacher(store, build_menu(config), lambda: build_embedder(config), lambda: build_detector(config, finder))


def build_registry(config: LoadedConfig) -> Registry:
    """Return the registry of imported and promoted models; its folder needs not exist."""
    return Registry(config.site.models.registry)


def find_card(config: LoadedConfig, settings: DetectorSettings | None = None, lane_id: str | None = None) -> ModelCard:
    """Return the card of the model that a lane runs, its weights found and checked.

    Args:
        config: names the model and tells where relative paths start.
        settings: used instead of the configuration's.
        lane_id: whose own promotions go before those for all lanes.

    Raises:
        ModelError: the model is missing, nothing is promoted, or the weights are not what the card says.
    """
    wanted = settings or config.site.models.detector
    precision = wanted.precision
    if precision == "auto" and find_device(wanted.device).kind != "cpu":
        precision = "fp32"  # per-channel u8s8 is made for CPUs
    return find_model(wanted.card, config.folder, precision, build_registry(config), lane_id)


def build_detector(
    config: LoadedConfig, settings: DetectorSettings | None = None, lane_id: str | None = None
) -> Detector:
    """Load the detector of a lane; lanes may share it. Arguments as for `find_card`.

    Raises:
        ModelError: the model is missing, or is not what its card says.
    """
    wanted = settings or config.site.models.detector
    card = find_card(config, wanted, lane_id)
    return share(OrtDetector(card, wanted, find_device(wanted.device)))


def build_detectors(config: LoadedConfig) -> dict[str, Detector]:
    """Load the detectors of all lanes, by lane id; lanes that run the same weights share one.

    Raises:
        ModelError: a model is missing, or is not what its card says.
    """
    by_model: dict[tuple[str, str], Detector] = {}
    detectors: dict[str, Detector] = {}
    try:
        for lane_id in config.site.lanes:
            card = find_card(config, lane_id=lane_id)
            # The same weights under another name have other labels.
            model = (card.full_name, card.file)
            if model not in by_model:
                wanted = config.site.models.detector
                by_model[model] = share(OrtDetector(card, wanted, find_device(wanted.device)))
            detectors[lane_id] = by_model[model]
    except BaseException:
        for detector in by_model.values():
            detector.close()
        raise
    return detectors


def build_zones(lane: LaneConfig) -> tuple[Zone, ...]:
    """Return the zones of a lane."""
    return make_zones(lane.zones)


def stream_key_for(source: Source, settings: SourceSettings, clock: Clock) -> str:
    """Return what names a stream: a recording's content, or the moment at which a live session starts.

    >>> from types import SimpleNamespace
    >>> from core.clock import ManualClock
    >>> stream_key_for(SimpleNamespace(live=True), SourceSettings(url="rtsp://camera/1"), ManualClock(12.5))
    'live-12.500000'
    """
    if source.live:
        return f"live-{clock.utc_s():.6f}"
    path = Path(settings.url)
    if path.is_file():
        return content_key(path)
    return hashlib.sha256(settings.url.encode()).hexdigest()[:16]


def build_pipeline(
    config: LoadedConfig,
    lane_id: str,
    stream_key: str,
    clock: Clock,
    detector: Detector,
    menu: Menu | None = None,
    knowledge: Knowledge | None = None,
    journals: JournalSink | None = None,
) -> Pipeline:
    """Return the pipeline of a lane.

    Args:
        config: has the lane.
        lane_id: which one.
        stream_key: see `stream_key_for`.
        clock: for stage times.
        detector: may be shared.
        menu: read from the configuration when neither this nor `knowledge` is given.
        knowledge: the menu with what is taught; see `LiveMenu`.
        journals: gets all that each bill was decided from.

    Raises:
        ConfigError: no such lane, or the menu file is wrong.
        ModelMismatch: the menu does not know the model's labels.
    """
    lane_id, lane = config.lane(lane_id)
    knowledge = knowledge or Knowledge(menu or build_menu(config))
    known = knowledge.menu
    known.check_labels(detector.labels, detector.name)
    zones = build_zones(lane)
    lowest = max(lane.tracker.low_score, lane.detect.min_score)
    tracker_settings = lane.tracker.model_copy(update={"low_score": lowest})

    def make_tracker(size: FrameSize) -> MultiObjectTracker:
        return MultiObjectTracker(tracker_settings, detector.labels, size)

    def make_policy() -> Policy | JournalledPolicy:
        policy = Policy(lane_id, stream_key, lane.checkout, zones, known)
        return policy if journals is None else JournalledPolicy(policy, journals, known)

    recogniser = Recogniser(detector.labels, knowledge, lane.recognition)
    return Pipeline(lane_id, stream_key, detector, make_tracker, make_policy, clock, config.sha256, recogniser)


@dataclass(frozen=True, slots=True)
class Site:
    """All lanes of one process with what they share."""

    config: LoadedConfig
    lanes: dict[str, Lane]
    menu: Menu
    detectors: tuple[Detector, ...]
    store: SqlStore
    spools: tuple[Spool, ...]
    live_menu: LiveMenu
    keepers: tuple[EvidenceKeeper, ...] = ()

    def close(self) -> None:
        """Finish the evidence, then let go of the store and the model, after the lanes have stopped."""
        for keeper in self.keepers:
            keeper.stop()
        for spool in self.spools:
            spool.close()
        self.store.close()
        for detector in self.detectors:
            detector.close()
        self.live_menu.close()


def build_site(config: LoadedConfig, clock: Clock, open_stores: Callable[[str, Clock], SqlStore] = open_store) -> Site:
    """Build every lane of a configuration, not started. Everything that can be wrong is found here, before any thread.

    Raises:
        ConfigError: a lane has no source, or the menu is wrong.
        ModelError: the detector cannot be used.
        StoreError: the store cannot be opened.
    """
    for lane_id, lane in config.site.lanes.items():
        if lane.source is None:
            raise ConfigError(f"{config.name}: lanes.{lane_id}: required key source is missing; give its url")
    live_menu = build_live_menu(config, clock)
    knowledge = live_menu.load()
    menu = knowledge.menu
    detectors = build_detectors(config)
    own = tuple({id(detector): detector for detector in detectors.values()}.values())
    for detector in own:
        menu.check_labels(detector.labels, detector.name)
    store = open_stores(config.site.store.url, clock)
    spools: list[Spool] = []
    lanes: dict[str, Lane] = {}
    keepers: list[EvidenceKeeper] = []
    try:
        for lane_id in config.site.lanes:
            settings = config.site.store
            spool = Spool(store, settings.spool / f"{lane_id}.jsonl", clock, settings.spool_events)
            spools.append(spool)
            lanes[lane_id], keeper = build_lane(config, lane_id, clock, detectors[lane_id], live_menu, spool)
            keepers += [] if keeper is None else [keeper]
    except BaseException:
        for spool in spools:
            spool.close()
        store.close()
        for detector in own:
            detector.close()
        live_menu.close()
        raise
    return Site(config, lanes, menu, own, store, tuple(spools), live_menu, tuple(keepers))


def build_lane(
    config: LoadedConfig, lane_id: str, clock: Clock, detector: Detector, live_menu: LiveMenu, spool: Spool
) -> tuple[Lane, EvidenceKeeper | None]:
    """Return one lane, not started, and who keeps its evidence, unless the configuration wants none.

    Raises:
        ConfigError: the lane has no source, or the source's parameters are wrong.
    """
    lane_id, lane = config.lane(lane_id)
    if lane.source is None:
        raise ConfigError(f"{config.name}: lanes.{lane_id}: required key source is missing; give its url")
    source = make_source(lane.source, lane_id, clock)
    key = stream_key_for(source, lane.source, clock)
    keeper: EvidenceKeeper | None = None
    if config.site.record.evidence.days > 0:
        rules = Rules(lane_id, key, lane.checkout, build_zones(lane), detector.name, config.sha256)
        keeper = EvidenceKeeper(config.site.record.evidence, rules, lambda: live_menu.current.menu, clock)
    knowledge = live_menu.load()
    pipeline = build_pipeline(config, lane_id, key, clock, detector, knowledge=knowledge, journals=keeper)
    detect = lane.detect
    running = Lane(
        source, pipeline, spool, knowledge.menu, clock, lane.backoff, detect.fps, detect.buffer_frames, live_menu
    )
    if keeper is not None:
        running.subscribe(keeper.take)
    return running, keeper

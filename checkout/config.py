"""The whole configuration file: each package's own frozen settings, composed. See docs/config.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator

from checkout.evidence.settings import RecordSettings
from checkout.mqtt_settings import MqttSettings
from checkout.settings import CheckoutSettings, RecognitionSettings
from checkout.web_settings import WebSettings
from checkout.webhook_settings import WebhookSettings
from checkout.zones import WHOLE_FRAME, ZoneSettings
from core.errors import ConfigError
from core.settings import Settings, load_settings
from models.settings import DetectorSettings, EmbedderSettings
from streams.reconnect import BackoffSettings
from streams.source import SourceSettings
from tracker.settings import TrackerSettings

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"


class SiteSettings(Settings):
    """The place."""

    name: str = Field(default="site", min_length=1, max_length=100, description="What people call this place")
    timezone: str = Field(
        default="UTC", description="Time zone of the pages and the dashboards: an IANA name, such as Europe/Berlin"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as err:
            raise ValueError(f"no time zone {timezone!r}; give an IANA name such as Europe/Berlin or UTC") from err
        return timezone


class StoreSettings(Settings):
    """Where events and bills go."""

    url: str = Field(
        default="sqlite:///var/traylane.db",
        min_length=1,
        description="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE",
    )
    spool: Path = Field(
        default=Path("var/spool"), description="Folder in which events wait while the store is away, one file per lane"
    )
    spool_events: int = Field(default=100_000, ge=100, description="How many events may wait per lane")


class DashboardsSettings(Settings):
    """The dashboards, a server of its own (`dashboards/dash.py up`), shown inside the pages."""

    url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/?#\s]+$",
        description="Where Superset answers, e.g. http://127.0.0.1:8088; no panel if unset",
    )
    secret_file: Path = Field(
        default=Path(".dash/dash_guest_secret"), description="File with the secret that signs a viewer's pass"
    )


class ModelsSettings(Settings):
    """Which models run."""

    detector: DetectorSettings = Field(default=DetectorSettings(), description="The detector of all lanes")
    embedder: EmbedderSettings | None = Field(
        default=EmbedderSettings(),
        description="What tells taught dishes apart; loaded when there are any. null: dishes cannot be taught",
    )
    registry: Path = Field(
        default=Path("var/models"), description="Folder of imported models and promotions (`traylane models`)"
    )


class ReplaySettings(Settings):
    """Replays of recordings that are asked for over the pages."""

    recordings: Path = Field(
        default=Path("var/recordings"), description="Folder of the recordings that may be replayed"
    )
    results: Path = Field(default=Path("var/replays"), description="Folder of the results, one folder per replay")
    waiting_jobs: int = Field(default=20, ge=1, le=1000, description="How many replays may wait")
    timeout_s: float = Field(default=4 * 3600.0, gt=0, description="A replay that takes longer is stopped")


class MenuFileSettings(Settings):
    """Which menu is served."""

    file: Path = Field(
        default=Path("menu.yaml"), description="Menu file; looked for beside this file, then in the working folder"
    )
    store: Path | None = Field(
        default=Path("var/menu"), description="Folder of what is taught (`traylane teach`); null: only the menu file"
    )


class DetectSettings(Settings):
    """How much of a lane's stream is looked at."""

    fps: float | None = Field(
        default=None, gt=0, le=240, description="Decide at most so many frames a second; all if unset"
    )
    min_score: float = Field(default=0.1, ge=0, lt=1, description="Detections below this score are not tracked")
    buffer_frames: int = Field(default=4, ge=1, le=64, description="Frames that may wait for the model")


class LaneConfig(Settings):
    """One lane."""

    source: SourceSettings | None = Field(default=None, description="Its camera; may be left out for replays")
    backoff: BackoffSettings = Field(default=BackoffSettings(), description="How a lost camera is tried again")
    detect: DetectSettings = Field(default=DetectSettings(), description="How much is looked at")
    tracker: TrackerSettings = Field(default=TrackerSettings(), description="What is assumed about the objects' motion")
    zones: dict[str, ZoneSettings] = Field(
        default={"tray": ZoneSettings(polygon=WHOLE_FRAME)}, description="By name; at least one has the role tray"
    )
    checkout: CheckoutSettings = Field(default=CheckoutSettings(), description="Thresholds of the bill")
    recognition: RecognitionSettings = Field(
        default=RecognitionSettings(), description="How taught dishes are told apart"
    )

    @field_validator("zones")
    @classmethod
    def _has_tray(cls, zones: dict[str, ZoneSettings]) -> dict[str, ZoneSettings]:
        if not any(zone.role == "tray" for zone in zones.values()):
            raise ValueError("no zone has the role tray; give one in which items are billed")
        return zones


class SiteConfig(Settings):
    """The whole file."""

    site: SiteSettings = Field(default=SiteSettings(), description="The place")
    store: StoreSettings = Field(default=StoreSettings(), description="Where events and bills go")
    web: WebSettings = Field(default=WebSettings(), description="Where the pages are served")
    dashboards: DashboardsSettings = Field(default=DashboardsSettings(), description="The dashboards, if there are any")
    models: ModelsSettings = Field(default=ModelsSettings(), description="Which models run")
    menu: MenuFileSettings = Field(default=MenuFileSettings(), description="Which menu is served")
    replays: ReplaySettings = Field(default=ReplaySettings(), description="Replays that are asked for over the pages")
    mqtt: MqttSettings | None = Field(default=None, description="The broker for events and states; none if unset")
    webhooks: tuple[WebhookSettings, ...] = Field(default=(), description="Programs that are told of events")
    lanes: dict[str, LaneConfig] = Field(min_length=1, description="The lanes, by id")
    record: RecordSettings = Field(default=RecordSettings(), description="What is kept of what the cameras saw")

    @field_validator("webhooks")
    @classmethod
    def _each_once(cls, webhooks: tuple[WebhookSettings, ...]) -> tuple[WebhookSettings, ...]:
        names = [hook.name for hook in webhooks]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)}: more than one webhook of this name; its name is its memory")
        return webhooks

    @field_validator("lanes")
    @classmethod
    def _named(cls, lanes: dict[str, LaneConfig]) -> dict[str, LaneConfig]:
        for name in lanes:
            if not re.match(_NAME, name):
                raise ValueError(f"lane id {name!r}: use letters, digits, - and _ (they are part of addresses)")
        return lanes


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration with where it came from.

    Attributes:
        site: the settings.
        sha256: of the file's bytes; goes into each event.
        folder: where relative paths start.
        name: the file, for messages.
    """

    site: SiteConfig
    sha256: str
    folder: Path
    name: str

    def lane(self, lane_id: str | None = None) -> tuple[str, LaneConfig]:
        """Return a lane by id, or the first one.

        Raises:
            ConfigError: there is no such lane.
        """
        lanes = self.site.lanes
        if lane_id is None:
            return next(iter(lanes.items()))
        if lane_id not in lanes:
            raise ConfigError(f"{self.name}: no lane {lane_id!r}; it has {', '.join(lanes)}")
        return lane_id, lanes[lane_id]

    def find(self, path: Path, key: str) -> Path:
        """Return an existing file that the configuration names: beside it, else from the working folder.

        Raises:
            ConfigError: it is in neither place.
        """
        for candidate in (self.folder / path, path):
            if candidate.is_file():
                return candidate
        raise ConfigError(f"{self.name}: {key}: no file {path}, neither in {self.folder} nor in the working folder")


def load_config(path: Path) -> LoadedConfig:
    """Read a configuration file.

    Raises:
        ConfigError: missing, not YAML, or wrong; names file, line and key.
    """
    site, sha256 = load_settings(SiteConfig, path)
    return LoadedConfig(site, sha256, path.resolve().parent, str(path))

"""What the handlers use: one record of objects, made once for an application."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.api.problems import ApiProblem
from app.dish_desk import DishDesk
from app.feeds import EventFeed, StateFeed
from app.learning import AnswerLearner
from app.replay_jobs import ReplayJobs
from app.settings_file import SettingsFile
from app.site import Site
from app.viewers import Viewers
from checkout.build import build_teacher
from checkout.config import LoadedConfig
from core.clock import Clock, SystemClock
from fleet.event_text import event_text
from fleet.publishers import MQTT
from fleet.webhooks import CONSUMER
from store.bill_search import BillSearch
from store.idempotency import IdempotencyKeys
from store.outbox import Outbox
from store.sql_store import SqlStore

#: Streams at the same time; the server has more threads than this (see `app/server.py`).
VIEWERS = 72


@dataclass(frozen=True)
class Services:
    """Everything behind the API.

    Attributes:
        config: of the running site; None where there is no file (tests of the pages).
        settings: the configuration file; replays the jobs; dishes the taught menu; None likewise.
        learner: makes photos of answers; None where nothing can be taught.
    """

    site: Site
    store: SqlStore
    clock: Clock
    search: BillSearch
    keys: IdempotencyKeys
    outbox: Outbox
    states: StateFeed
    events: EventFeed
    viewers: Viewers
    config: LoadedConfig | None
    settings: SettingsFile | None
    replays: ReplayJobs | None
    dishes: DishDesk | None
    learner: AnswerLearner | None = None

    @property
    def consumers(self) -> tuple[str, ...]:
        """Who reads the events, as the outbox calls them."""
        if self.config is None:
            return ()
        hooks = tuple(CONSUMER + hook.name for hook in self.config.site.webhooks)
        return hooks if self.config.site.mqtt is None else (*hooks, MQTT)

    def known_config(self) -> LoadedConfig:
        """Return the configuration.

        Raises:
            ApiProblem: 503, this appliance runs without a file.
        """
        if self.config is None:
            raise no_file()
        return self.config


def no_file() -> ApiProblem:
    """Return the problem that the appliance has no configuration file."""
    return ApiProblem(503, "No configuration file", "this appliance runs without a file; start it with --config FILE")


def make_services(site: Site, config: LoadedConfig | None = None) -> Services:
    """Return the services of a site."""
    store, clock = site.store, SystemClock()
    if not isinstance(store, SqlStore):
        raise TypeError(f"the API needs a store in a database, not a {type(store).__name__}")
    path = None if config is None else Path(config.name)
    return Services(
        site=site,
        store=store,
        clock=clock,
        search=BillSearch(store),
        keys=IdempotencyKeys(store, clock),
        outbox=Outbox(store, clock),
        states=StateFeed(site),
        events=EventFeed(site, store, event_text),
        viewers=Viewers(VIEWERS),
        config=config,
        settings=None if path is None else SettingsFile(path, clock),
        dishes=None if config is None else DishDesk(config, clock, site.timezone),
        replays=None if config is None or path is None else ReplayJobs(path, config.site.replays, clock, site.closing),
        learner=_learner(site, config, clock),
    )


def _learner(site: Site, config: LoadedConfig | None, clock: Clock) -> AnswerLearner | None:
    if config is None or config.site.menu.store is None:
        return None
    which = config.site.menu.learn_from_answers
    if which == "never":
        return None
    return AnswerLearner(lambda: build_teacher(config, clock), which, site.closing)

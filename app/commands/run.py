"""`traylane run`: all lanes of a configuration, and their pages, until it is stopped."""

from __future__ import annotations

import argparse
import dataclasses
import gc
import logging
import signal
import socket
import sys
import types
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from waitress.server import BaseWSGIServer

    from app.figures import FigureRecorder
    from app.screen import Draw
    from app.site import Site
    from checkout.build import Site as BuiltSite
    from checkout.config import LoadedConfig
    from checkout.pipeline import LaneUpdate
    from checkout.web_settings import WebSettings
    from core.clock import Clock
    from fleet.publishers import Publishers

_LOG = logging.getLogger(__name__)

STOP_S = 5.0
_LOOK_S = 0.01


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parser of `traylane run`."""
    parser = subparsers.add_parser(
        "run", help="run all lanes and their pages", description="Run all lanes of a configuration and their pages."
    )
    parser.add_argument("--config", type=Path, help="configuration file; the shipped configs/lane.yaml if left out")
    parser.add_argument(
        "--source", metavar="URL", help="film this instead of the first lane's own source, and only this"
    )
    parser.add_argument("--port", type=int, help="TCP port instead of the configuration's web.port; 0 takes a free one")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    # What a start makes (modules, classes, the graph) stays: to look for garbage in it costs a tenth of the start.
    gc.disable()
    try:
        config = _configuration(args)
        listener = listen(config.site.web)
        try:
            serve(config, listener)
        finally:
            listener.close()
    finally:
        gc.enable()
    return 0


def _configuration(args: argparse.Namespace) -> LoadedConfig:
    from checkout.build import DEFAULT_CONFIG
    from checkout.config import load_config
    from core.errors import ConfigError
    from streams.source import SourceSettings

    config = load_config(args.config or DEFAULT_CONFIG)
    site = config.site
    if args.source is not None:
        lane_id, lane = config.lane()
        source = SourceSettings(url=args.source)
        site = site.model_copy(update={"lanes": {lane_id: lane.model_copy(update={"source": source})}})
    if args.port is not None:
        if not 0 <= args.port <= 65535:
            raise ConfigError(f"--port {args.port} is not a TCP port; give 0 to 65535")
        site = site.model_copy(update={"web": site.web.model_copy(update={"port": args.port})})
    return dataclasses.replace(config, site=site)


def listen(web: WebSettings) -> socket.socket:
    """Take the pages' address before anything else starts; who connects already now is answered when all is built.

    Raises:
        PortTaken: another program listens there, or the address is not this machine's.
    """
    from core.errors import PortTaken

    family = socket.AF_INET6 if ":" in web.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((web.host, web.port))
        listener.listen()
    except OSError as err:
        listener.close()
        raise PortTaken(
            f"web: cannot listen on {web.host}:{web.port}: {err.strerror}; "
            "stop the program that uses it, or set another web.port"
        ) from err
    return listener


def serve(config: LoadedConfig, listener: socket.socket) -> None:
    """Build everything, start the lanes, and answer requests until interrupted."""
    from checkout.build import build_site
    from core.clock import SystemClock

    clock = SystemClock()
    built = build_site(config, clock)
    server: BaseWSGIServer | None = None
    publishers = _publishers(config, built, clock)
    try:
        site = _faces(config, built, clock)
        recorder = _recorder(config, built, site, clock)
        try:
            site.start()
            recorder.start()
            # The web framework is imported only now: the lanes find their cameras and decide meanwhile.
            server = _server(site, config, listener)
            publishers.start()
            host, port = listener.getsockname()[:2]
            _LOG.info("%s: %d lane(s), page on http://%s:%d", site.name, len(site.lane_ids), host, port)
            _check_first_second(site)
            gc.freeze()
            gc.enable()
            server.run()
        except KeyboardInterrupt:
            _LOG.info("stopping")
        finally:
            site.stop(STOP_S)
            recorder.stop(STOP_S)
            publishers.stop(STOP_S)
            if server is not None:
                server.close()
    finally:
        built.close()


def _server(site: Site, config: LoadedConfig, listener: socket.socket) -> BaseWSGIServer:
    """Return the web server of the pages, not running; where people must log in, there is one afterwards who can."""
    from app.accounts.accounts import make_accounts
    from app.accounts.first_admin import announce_first_admin
    from app.server import make_server
    from app.web import create_app

    accounts = make_accounts(site.store.accounts(), config.site.web)
    if accounts.required:
        announce_first_admin(accounts, sys.stdout)
    return make_server(create_app(site, accounts, config), listener)


def _check_first_second(site: Site) -> None:
    """Wait until a lane has found its source, at most a second.

    Raises:
        SourceUnusable: no lane can ever give a frame: there is nothing to serve.
    """
    from checkout.health import LaneState
    from core.errors import SourceUnusable

    for _ in range(round(1.0 / _LOOK_S)):
        lanes = site.health().values()
        if all(lane.state is LaneState.FAILED for lane in lanes):
            raise SourceUnusable("; ".join(lane.why for lane in lanes))
        if any(lane.state is not LaneState.CONNECTING for lane in lanes):
            return
        site.closing.wait(_LOOK_S)


def _publishers(config: LoadedConfig, built: BuiltSite, clock: Clock) -> Publishers:
    """Return what tells other programs of events, not started."""
    from fleet.publishers import Publishers
    from store.sql_store import SqlStore

    if not isinstance(built.store, SqlStore):
        raise TypeError(f"publishers need a store in a database, not a {type(built.store).__name__}")
    return Publishers(config.site, built.store, built.lanes, built.menu, clock)


def _faces(config: LoadedConfig, built: BuiltSite, clock: Clock) -> Site:
    """Return what the pages show of the built lanes."""
    from app.site import Site
    from checkout.build import build_zones
    from checkout.overlay import draw

    def picture_of(lane_id: str) -> Draw:
        zones, lane = build_zones(config.lane(lane_id)[1]), built.lanes[lane_id]

        def picture(update: LaneUpdate) -> NDArray[np.uint8]:
            if update.frame is None:
                raise ValueError("an update without a frame has no picture")
            return draw(update.frame.image, update.tracks, update.bill, zones, lane.menu)

        return picture

    web = config.site.web
    return Site(
        name=config.site.site.name,
        menu=built.menu,
        lanes=list(built.lanes.values()),
        draw={lane_id: picture_of(lane_id) for lane_id in built.lanes},
        store=built.store,
        clock=clock,
        storage=_storage(config),
        loopback_only=not (web.log_in_required or web.trusted_network),
        timezone=config.site.site.timezone,
    )


def _recorder(config: LoadedConfig, built: BuiltSite, site: Site, clock: Clock) -> FigureRecorder:
    """Return what books the lanes' figures by the minute, for the dashboards."""
    from app.figures import FigureRecorder, Place, free_bytes
    from store.figures import DishEntry, Figures, LaneEntry, SiteEntry

    menu, settings = built.menu, config.site.site
    live = {lane_id: health.live for lane_id, health in site.health().items()}
    place = Place(
        SiteEntry(settings.name, menu.currency, settings.timezone),
        [LaneEntry(lane_id, lane.shown_url, live[lane_id]) for lane_id, lane in built.lanes.items()],
        [DishEntry(dish.name, dish.title, dish.category, dish.price, dish.plu) for dish in menu.dishes.values()],
    )
    storage = _storage(config)
    figures = Figures(built.store, clock)
    return FigureRecorder(figures, place, site.health, built.store.outbox_depth, lambda: free_bytes(storage), clock)


def _storage(config: LoadedConfig) -> Path | None:
    """Return the folder of the store, None when it is a server."""
    url = config.site.store.url
    return Path(url.removeprefix("sqlite:///")).parent if url.startswith("sqlite:///") else None


def _interrupt(number: int, frame: types.FrameType | None) -> None:
    """Turn SIGTERM into the interrupt that SIGINT raises."""
    raise KeyboardInterrupt

"""`traylane doctor`: look at the machine and the configuration, one line each, with what to do."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.checks import Finding
    from checkout.config import LoadedConfig

# (module, package): what every lane needs.
_LIBRARIES = (
    ("numpy", "numpy"),
    ("cv2", "opencv-python"),
    ("av", "av"),
    ("onnxruntime", "onnxruntime"),
    ("sqlalchemy", "sqlalchemy"),
)


def add(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "doctor",
        help="check camera, GPU, disk, clock, port, model, store, broker, webhooks and dashboards",
        description="Look at this machine and at a configuration: one line each, with what to do. "
        "Exits 0 when no check failed, else with the highest code of a failed one.",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the site's configuration (default: the demo's)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print all findings as they come and return the exit code."""
    findings: list[Finding] = []
    for finding in examine(args.config):
        print(f"{finding.level:<5} {finding.topic:<16} {finding.text}", flush=True)
        findings.append(finding)
    return max(finding.exit_code for finding in findings)


def examine(config_path: Path | None) -> Iterator[Finding]:
    """Yield the findings, the machine's first; what cannot be looked at after a failure is left out."""
    from app import checks

    yield checks.check_python()
    broken = False
    for module, package in _LIBRARIES:
        finding = checks.check_library(module, package)
        broken |= finding.level is checks.Level.FAIL
        yield finding
    yield checks.check_clock()
    if not broken:
        yield from _examine_site(config_path)


def _examine_site(config_path: Path | None) -> Iterator[Finding]:
    from app import checks
    from checkout.build import build_menu, default_config
    from checkout.config import load_config
    from core.errors import TraylaneError
    from store.engine import sqlite_path

    try:
        config = default_config() if config_path is None else load_config(config_path)
        menu = build_menu(config)
        database = sqlite_path(config.site.store.url)
    except TraylaneError as err:
        yield checks.failed("config", err)
        return
    site = config.site
    yield checks.ok("config", f"{config.name}: {len(site.lanes)} lane(s), {len(menu.dishes)} dishes on the menu")
    folders = [site.store.spool] if database is None else [database.parent, site.store.spool]
    for folder in dict.fromkeys(folder.absolute() for folder in folders):
        yield checks.check_space(folder)
    if site.record.evidence.days > 0:
        yield checks.check_space(site.record.evidence.folder.absolute(), "evidence")
    yield checks.check_store(site.store.url)
    yield checks.check_port(site.web.host, site.web.port)
    yield checks.check_device(site.models.detector.device)
    yield checks.check_model(config)
    for lane_id, lane in site.lanes.items():
        yield checks.check_source(lane_id, lane.source)
    yield from _examine_neighbours(config)


def _examine_neighbours(config: LoadedConfig) -> Iterator[Finding]:
    """Look at the programs that the appliance talks to, where there are any."""
    from app import neighbour_checks as checks

    site = config.site
    if site.mqtt is not None:
        yield checks.check_broker(site.mqtt)
    for hook in site.webhooks:
        yield checks.check_webhook(hook)
    if site.dashboards.url is not None:
        yield checks.check_dashboards(site.dashboards)

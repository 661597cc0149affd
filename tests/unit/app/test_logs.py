"""Logs: one line each, JSON on demand with lane and bill, no secret in what is said or given along."""

from __future__ import annotations

import json
import logging

import pytest

from app.logs import set_up_logs

LOG = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def _as_it_was():
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_a_record_for_machines_names_lane_and_bill(capsys):
    set_up_logs("info", as_json=True)
    LOG.info("lane %s: bill %s closed", "lane1", "b-1", extra={"lane": "lane1", "bill": "b-1", "url": "rtsp://u:p@cam"})
    record = json.loads(capsys.readouterr().err)
    assert (record["lane"], record["bill"], record["level"]) == ("lane1", "b-1", "info")
    assert record["url"] == "rtsp://***@cam"


@pytest.mark.parametrize("as_json", [False, True])
def test_what_somebody_typed_makes_no_line_of_its_own(capsys, as_json):
    set_up_logs("info", as_json=as_json)
    LOG.warning("no lane %s", "x\n12:00:00 error app: all is lost\r\x1b[31m")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said


@pytest.mark.parametrize("as_json", [False, True])
def test_a_fault_is_told_without_the_secret_in_it(capsys, as_json):
    set_up_logs("info", as_json=as_json)
    try:
        raise ValueError("cannot open rtsp://bob:pa55@cam/1?token=t0ken")
    except ValueError:
        LOG.exception("lane1")
    said = capsys.readouterr().err
    assert "ValueError" in said
    assert "pa55" not in said
    assert "t0ken" not in said

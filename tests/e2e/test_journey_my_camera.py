"""Journey 2: `traylane run --source FILE` and `--source rtsp://…`: the page shows one's own camera."""

from __future__ import annotations

import pytest

from tests.appliance import appliance, demo
from tests.browser import CHROMIUM, browser_page
from tests.cameras import RtspCamera, missing
from tests.journeys import keep_picture, picture_of
from tests.postgres import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine (apt install chromium)"),
]


def shows_a_picture(page) -> bool:
    return page.evaluate("document.querySelector('.picture').naturalWidth") == 640


def test_a_recording_is_shown_and_its_bill(tmp_path):
    clip = picture_of(tmp_path)
    with appliance(tmp_path, demo(), more=["--source", str(clip)]) as running:
        running.wait_for(lambda s: s["last_bill"] or s["bill"], "lane1", 120, "a bill")
        with browser_page() as page:
            page.goto(running.url)
            wait_for(lambda: shows_a_picture(page), 60)
            page.wait_for_selector(".lines li .price", timeout=60_000)
            keep_picture(page, "journey-2-file")
        assert running.get("/api/v1/lanes/lane1")["source"].endswith("counter.mp4")


@pytest.mark.skipif(bool(missing()), reason=f"needs a GStreamer RTSP server: {missing()}")
def test_a_camera_is_shown_without_its_password(tmp_path):
    with RtspCamera(picture_of(tmp_path), user="bob", password="s3cr3t") as camera:  # noqa: S106 - of a test
        source = f"rtsp://bob:s3cr3t@{camera.address}"
        with appliance(tmp_path, demo(), more=["--source", source]) as running:
            running.wait_for(lambda s: s["state"] == "running" and s["fps"], "lane1", 120, "the first frames")
            with browser_page() as page:
                page.goto(running.url)
                wait_for(lambda: shows_a_picture(page), 60)
                assert page.locator(".offline").first.is_hidden()
                keep_picture(page, "journey-2-rtsp")
                assert "s3cr3t" not in page.content()
            assert "s3cr3t" not in str(running.get("/api/v1/lanes/lane1"))
        assert "s3cr3t" not in running.log.read_text()


def test_a_source_that_is_none_says_so_and_ends(tmp_path, capsys):
    from app.cli import main

    assert main(["run", "--source", str(tmp_path / "nothing.mp4"), "--port", "0"]) == 5
    assert "nothing.mp4" in capsys.readouterr().err

"""Evidence by the API: what was kept, the clip in ranges, a bill decided again, erased, and who may see it."""

import dataclasses

import pytest

from app.web import create_app
from checkout.build import default_config
from checkout.evidence.settings import EvidenceSettings, RecordSettings
from tests.accounts import still_site
from tests.evidence_runs import run_lane


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A site whose store has one bill with evidence; yields a client, the bill and the archive."""
    folder = tmp_path_factory.mktemp("evidence")
    keeper, events, bills = run_lane(folder)
    config = default_config()
    record = RecordSettings(evidence=EvidenceSettings(folder=folder / "evidence"))
    config = dataclasses.replace(config, site=config.site.model_copy(update={"record": record}))
    with still_site(folder) as site:
        site.store.append(events, bills)
        yield create_app(site, config=config).test_client(), bills[0], keeper.archive


def address(bill, tail: str = "") -> str:
    return f"/api/v1/bills/{bill.bill_id}/evidence{tail}"


def test_the_evidence_tells_each_line_with_its_course(kept):
    client, bill, _ = kept
    told = client.get(address(bill)).get_json()
    assert {line["dish"] for line in told["lines"]} == {"soup", "bread"}
    assert told["can_rerun"]
    for line in told["lines"]:
        assert 2 <= len(line["course"]) <= 100
        last = line["course"][-1]
        assert line["labels"][0] == line["dish"]
        assert last["shares"][0] > 0.9
        with client.get(line["crop"]) as crop:
            assert (crop.mimetype, crop.data[:2]) == ("image/jpeg", b"\xff\xd8")


def test_a_browser_may_seek_in_the_clip(kept):
    client, bill, _ = kept
    with client.get(address(bill, "/clip")) as answer:
        whole = answer.data
    with client.get(address(bill, "/clip"), headers={"Range": "bytes=4-11"}) as part:
        assert (part.status_code, part.mimetype) == (206, "video/mp4")
        assert part.data == whole[4:12]
        assert b"ftyp" in part.data


def test_a_bill_is_decided_again(kept):
    client, bill, _ = kept
    told = client.post(address(bill, "/rerun")).get_json()
    assert told["same"]
    assert told["differences"] == []
    assert told["decisions"] == bill.revision


def test_what_there_is_not_is_said(kept):
    client, bill, _ = kept
    assert client.get("/api/v1/bills/nobody/evidence").status_code == 404
    missing = client.get(address(bill, "/crops/9"))
    assert missing.status_code == 404
    assert "line-9.jpg" in missing.get_json()["detail"]
    assert client.delete(address(bill)).status_code == 400, "a reason is wanted"


def test_erased_evidence_is_gone_and_its_hashes_are_told_once_more(kept):
    client, bill, archive = kept
    before = client.get(address(bill)).get_json()["files"]
    answer = client.delete(address(bill) + "?reason=asked+by+the+guest")
    assert answer.get_json()["files"] == before
    assert client.get(address(bill)).status_code == 410
    assert client.delete(address(bill) + "?reason=again").status_code == 410
    assert archive.find(bill.bill_id).erased
    told = client.get("/audit").get_data(as_text=True)
    assert "evidence.erase" in told

"""Evidence: journals that are exact, packets that prove themselves, masks, sweeps, erasure, and deciding again."""

import itertools
import json
import os
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.correction import Action, Correction
from checkout.evidence import journal
from checkout.evidence.archive import ERASED, Archive
from checkout.evidence.camera_roll import CameraRoll, ZoneMask
from checkout.evidence.journal import Answered, Corrected, Looked, Resized, pack, unpack
from checkout.evidence.keeper import encode_clip
from checkout.evidence.packet import CLIP, JOURNAL, PACKET, read_packet
from checkout.evidence.rerun import rerun
from checkout.evidence.settings import EvidenceSettings
from checkout.pipeline import Pipeline
from checkout.policy import Policy
from checkout.settings import CheckoutSettings
from core.clock import ManualClock
from core.errors import DataError, FormatError
from core.records import Gap, Track, Tracks, TrackState
from tests.evidence_runs import LABELS, MENU, ZONES, a_tray, run_lane
from tests.fakes import FixedDetector, frame, frames
from tests.store_records import make_bill
from tracker.settings import TrackerSettings
from tracker.tracker import MultiObjectTracker

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
share = st.floats(0.0, 1.0)


@st.composite
def tracks_of_frames(draw):
    made = []
    for number in range(draw(st.integers(0, 6))):
        tracks = tuple(
            Track(
                track_id=track_id,
                box=draw(st.tuples(finite, finite, finite, finite)),
                velocity_px_s=draw(st.tuples(finite, finite)),
                score=draw(share),
                state=draw(st.sampled_from(list(TrackState))),
                visibility=draw(share),
                posterior=tuple(
                    (name, draw(share)) for name in draw(st.permutations(LABELS))[: draw(st.integers(0, 4))]
                ),
                first_seen_s=draw(finite),
                last_seen_s=draw(finite),
                matched=draw(st.booleans()),
            )
            for track_id in sorted(draw(st.sets(st.integers(1, 2**40), max_size=4)))
        )
        gone = tuple(draw(st.lists(st.integers(1, 99), max_size=2)))
        made.append(Looked(Tracks(number, draw(finite), tracks, gone), draw(finite), (640, 360)))
        others = [
            Gap("lane1", 1.5, 2.25, 0.1, "unplugged 'x'"),
            Answered(3, "soup", 0.1, 7.0),
            Answered(4, "", 1.0, 2.0),
        ]
        wrong = Correction("b", Action.REPLACE, 2, "soup", "ada", "it is soup", 7)
        others += [Corrected(wrong, 1.5, 9.0), Corrected(replace(wrong, line_no=None, revision=None), 2.5, 9.5)]
        others += [Resized((640, 360), (320, 180)), make_bill("b", 3), make_bill("c", 4, closed_s=9.5)]
        made += draw(st.lists(st.sampled_from(others), max_size=2))
    return made


@given(tracks_of_frames())
def test_a_journal_comes_back_bit_by_bit(entries):
    back = unpack(pack(entries), "x")
    assert back == entries
    assert repr(back) == repr(entries)  # -0.0 and 0.0 are equal, but not the same bits


@pytest.mark.parametrize("damage", [lambda raw: raw[:-9], lambda raw: b"", lambda raw: raw[:20] + b"\x00" + raw[21:]])
def test_a_damaged_journal_is_refused(damage):
    packed = pack([Looked(Tracks(0, 1.0, ()), 0.5, (640, 360))])
    with pytest.raises(FormatError, match=r"journal\.xz: damaged"):
        unpack(damage(packed), "journal.xz")


def test_a_bill_is_decided_again_from_its_packet_event_by_event(tmp_path):
    keeper, events, bills = run_lane(tmp_path)
    assert [sorted(line.dish for line in bill.lines) for bill in bills] == [["bread", "soup"]]
    place = keeper.archive.find(bills[0].bill_id)
    done = rerun(place.folder)
    assert done.differences == ()
    assert done.bill == bills[0]
    mine = [event for event in events if event.decision.bill_id == bills[0].bill_id]
    assert list(done.event_ids) == [event.event_id for event in mine]
    assert list(done.decisions) == [event.decision for event in mine]
    assert keeper.kept == 1
    assert keeper.failed == 0


def test_answers_are_part_of_the_journal(tmp_path):
    def unsure(t_s: float):
        return [replace(one, score=0.5) for one in a_tray(t_s)]

    keeper, events, bills = run_lane(tmp_path, look=unsure, answer="apple")
    assert any(event.decision.kind == "answer" for event in events)
    done = rerun(keeper.archive.find(bills[0].bill_id).folder)
    assert done.bill == bills[0]
    assert "apple" in {line.dish for line in bills[0].lines}


def test_other_rules_tell_what_they_would_change(tmp_path):
    keeper, _, bills = run_lane(tmp_path)
    folder = keeper.archive.find(bills[0].bill_id).folder
    done = rerun(folder, CheckoutSettings(max_open_s=2.0))
    assert any(difference.startswith("closed: ") for difference in done.differences)


def test_a_packet_stays_within_its_bytes_and_says_what_it_left_out(tmp_path):
    small = EvidenceSettings(folder=tmp_path / "evidence", most_bytes=100_000)
    noise = np.random.default_rng(1)

    def restless(one):
        return replace(one, image=noise.integers(0, 255, one.image.shape, np.uint8))

    keeper, _, bills = run_lane(tmp_path, settings=small)
    folder = keeper.archive.find(bills[0].bill_id).folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < 110_000
    packet = read_packet(folder)
    assert packet.journal_whole
    assert JOURNAL in packet.files
    pictures = tuple(restless(frame(k, k / 20)).image for k in range(25))
    assert encode_clip(pictures, 10.0, 20_000) is None


def test_a_file_that_was_changed_is_found_out(tmp_path):
    keeper, _, bills = run_lane(tmp_path)
    folder = keeper.archive.find(bills[0].bill_id).folder
    assert {CLIP, JOURNAL} <= read_packet(folder).files.keys()
    clip = folder / CLIP
    clip.write_bytes(clip.read_bytes()[:-1] + b"x")
    with pytest.raises(DataError, match=r"clip\.mp4: missing, or not what was written"):
        rerun(folder)


def test_nothing_outside_the_zones_is_kept():
    image = np.full((36, 64, 3), 200, np.uint8)
    masked = ZoneMask(ZONES)(image)
    assert (masked[:, 17:47] == 200).all()
    assert (masked[:, :15] != 200).all()
    assert (masked[:, 50:] != 200).all()
    assert (image == 200).all(), "the lane's own picture is not touched"


def test_the_clip_is_of_the_fullest_moment_and_each_line_has_a_crop(tmp_path):
    roll = CameraRoll(EvidenceSettings(clip_s=1.0), ZONES)
    pipeline = Pipeline(
        "lane1",
        "key",
        FixedDetector(LABELS, a_tray),
        lambda size: MultiObjectTracker(TrackerSettings(), LABELS, size),
        lambda: Policy("lane1", "key", CheckoutSettings(), ZONES, MENU),
        ManualClock(),
    )
    full_s, bill = [], None
    for one in frames(160):
        shade = round(one.stream_s * 20)
        update = pipeline.step(replace(one, image=np.full(one.image.shape, shade, np.uint8)))
        roll.take(update)
        full_s += [one.stream_s] if update.bill is not None and len(update.bill.lines) == 2 else []
        bill = update.closed[0] if update.closed else bill
    kept = roll.pictures(bill.bill_id)
    shown_s = [image[5, image.shape[1] // 2, 0] / 20 for image in kept.clip]
    assert max(shown_s) == pytest.approx(full_s[0] + 0.8, abs=0.11)
    assert max(shown_s) - min(shown_s) == pytest.approx(0.9, abs=0.11)
    assert set(kept.crops) == {line.track_id for line in bill.lines}
    assert roll.pictures(bill.bill_id).crops == {}, "forgotten once handed over"


def test_a_bill_too_long_to_keep_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "MOST_FRAMES", 20)
    keeper, _, bills = run_lane(tmp_path)
    folder = keeper.archive.find(bills[0].bill_id).folder
    assert not read_packet(folder).journal_whole
    with pytest.raises(DataError, match="too long for its journal"):
        rerun(folder)


def test_erasure_leaves_hashes_and_nothing_else(tmp_path):
    keeper, _, bills = run_lane(tmp_path)
    archive, bill_id = keeper.archive, bills[0].bill_id
    folder = archive.find(bill_id).folder
    hashes = read_packet(folder).files
    archive.erase(bill_id, "ada", "asked by the guest", 1_700_000_100.0)
    assert [path.name for path in folder.iterdir()] == [ERASED]
    left = json.loads((folder / ERASED).read_text())
    assert left["files"] == hashes
    assert (left["by"], left["reason"]) == ("ada", "asked by the guest")
    assert archive.find(bill_id).erased
    with pytest.raises(DataError, match="erased already"):
        archive.erase(bill_id, "ada", "again", 0.0)


def test_the_sweep_takes_what_is_old_and_the_rests_of_crashes(tmp_path):
    archive = Archive(tmp_path)
    day_s = 86_400.0
    now_s = 1_700_000_000.0
    for age in (0, 1, 2, 3, 9):
        folder = archive.place("lane1", f"bill-{age}", now_s - age * day_s)
        folder.mkdir(parents=True)
        (folder / PACKET).write_text("{}")
    fresh, stale = archive.place("lane1", "fresh", now_s), archive.place("lane1", "stale", now_s)
    for folder in (fresh, stale):
        folder.mkdir()
    os.utime(stale, (time.time() - 7200, time.time() - 7200))
    (tmp_path / "lane1" / "notes").mkdir()
    assert archive.sweep(now_s, days=2) == 2
    assert [place.bill_id for place in archive.places()] == ["bill-2", "bill-1", "bill-0"]
    assert fresh.exists()
    assert not stale.exists()
    assert (tmp_path / "lane1" / "notes").exists(), "what is not ours is left alone"


def test_a_name_that_climbs_out_of_the_folder_is_no_bill(tmp_path):
    (tmp_path / "x").mkdir()
    for name in ("../x", "..", "a/b", ""):
        with pytest.raises(DataError, match="no evidence of bill"):
            Archive(tmp_path / "evidence").find(name)
        with pytest.raises(ValueError, match="cannot be a folder's name"):
            Archive(tmp_path).place("lane1", name, 0.0)


def test_a_full_disk_costs_the_evidence_and_no_bill(tmp_path, caplog):
    (tmp_path / "evidence").write_text("a file where the folder should be")
    keeper, _, bills = run_lane(tmp_path)
    assert len(bills) == 1
    assert (keeper.kept, keeper.failed) == (0, 1)
    assert "no evidence of bill" in caplog.text


def test_the_journal_changes_no_decision(tmp_path):
    plain = Pipeline(
        "lane1",
        "key",
        FixedDetector(LABELS, a_tray),
        lambda size: MultiObjectTracker(TrackerSettings(), LABELS, size),
        lambda: Policy("lane1", "key", CheckoutSettings(), ZONES, MENU),
        ManualClock(utc_s=1_700_000_000.0),
    )
    bare = list(itertools.chain.from_iterable(plain.step(one).events for one in frames(160)))
    _, events, _ = run_lane(tmp_path)
    assert [(one.event_id, one.decision) for one in events] == [(one.event_id, one.decision) for one in bare]

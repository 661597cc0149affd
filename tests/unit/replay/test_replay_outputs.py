"""The files of a replay, from a made-up recording."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from core.errors import ConfigError, SourceOpenError, StoreUnavailable
from core.records import Track, Tracks, TrackState
from replay.out_folder import whole_folder
from replay.recording import Recording, stays
from replay.report import Heading, Wording, render
from replay.score import bill_figures, figures, score
from replay.truth import Truth
from replay.writers import TrackFile, write_bills, write_counts, write_events
from tests import made_up_replay as made_up


def test_a_stay_carries_the_last_word_and_ends_when_it_ended() -> None:
    recording, _ = made_up.two_trays()
    found = stays(recording)
    assert [(s.dish, s.t_s, s.until_s, s.removed) for s in found] == [
        ("tea", 1.2, 6.0, False),
        ("soup", 1.5, 6.0, False),
        ("soup", 10.4, 16.0, False),
        ("tea", 11.0, 16.0, False),
        ("tea", 12.0, 13.0, True),
    ]
    assert found[1].confidence == 0.96


def test_figures_of_the_made_up_recording() -> None:
    recording, truth = made_up.two_trays()
    result = figures(recording, score(recording, truth, made_up.PRICES), ["tea"])
    # tea and soup of tray 1, and one tea of tray 2 are right; soup for roll and the second tea are too many.
    assert (result["t4"]["tp"], result["t4"]["fp"]) == (3, 2)
    assert result["t4"]["fn"] == 1
    assert result["cacc"] == 0.5
    assert result["acd"] == 1.0
    assert result["money"] == {"signed": 1.65, "absolute": 1.65, "over": 1.65, "under": 0.0}
    assert result["decoded_fps"] == pytest.approx(10.0)
    assert result["frames"] == 200
    # The change at 9 is tolerated to 14, the one at 103 to 108; 109 is one too few, 120..129 one too many.
    assert result["count_frames"]["wrong"] == 11


def test_contract_keys_are_there_and_null_without_truth() -> None:
    recording, _ = made_up.two_trays()
    result = figures(recording, score(recording, Truth(), {}), [])
    keys = "frames decoded_fps replay_fps realtime_factor latency_ms dropped count_error t4 cacc acd mccd mciou money"
    assert {*keys.split(), "agreement"} <= set(result)
    for key in ("count_error", "cacc", "acd", "mccd", "mciou"):
        assert result[key] is None
    for key, parts in (
        ("t4", ("tp", "fp", "fn", "f1", "ci95")),
        ("money", ("signed", "absolute", "over", "under")),
        ("agreement", ("frequent", "all", "ci95")),
    ):
        assert result[key] == dict.fromkeys(parts)
    assert set(result["latency_ms"]) == {"p50", "p95", "p99"}


def test_pooling_two_recordings_adds_their_counts() -> None:
    recording, truth = made_up.two_trays()
    judged = score(recording, truth, made_up.PRICES)
    pooled = bill_figures([judged, judged])
    assert pooled["t4"]["tp"] == 6
    assert pooled["trays"] == 4
    assert pooled["cacc"] == 0.5


def test_a_bill_without_a_tray_is_overcharge() -> None:
    recording, truth = made_up.two_trays()
    assert truth.bills is not None
    first_only = Truth(bills=truth.bills[:1])
    result = bill_figures([score(recording, first_only, made_up.PRICES)])
    assert result["cacc"] == 1.0
    assert result["extra_bills"] == 1
    assert result["money"]["over"] == 6.5
    assert result["acd"] == 2.0


def test_events_are_sorted_lines_that_repeat_to_the_byte(tmp_path: Path) -> None:
    recording, _ = made_up.two_trays()
    write_events(tmp_path / "a", recording.events)
    write_events(tmp_path / "b", recording.events)
    text = (tmp_path / "a").read_text()
    assert text == (tmp_path / "b").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) == 11
    assert all(list(row) == sorted(row) for row in rows)
    wanted = {"event_id", "lane_id", "kind", "t_s", "track_id", "dish", "confidence", "price", "reason"}
    assert wanted <= set(rows[0])
    assert (rows[1]["kind"], rows[1]["t_s"], rows[1]["price"]) == ("line_add", 1.2, 2.0)


def test_bills_and_counts(tmp_path: Path) -> None:
    recording, _ = made_up.two_trays()
    write_bills(tmp_path / "bills.json", list(recording.bills.values()))
    bills = json.loads((tmp_path / "bills.json").read_text())
    assert [bill["closed_s"] for bill in bills] == [6.0, 16.0]
    assert set(bills[0]["lines"][0]) >= {"track_id", "dish", "quantity", "unit_price", "t_s", "confidence"}
    write_counts(tmp_path / "counts.csv", recording.rows)
    with (tmp_path / "counts.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert len(rows) == 200
    assert (rows[125]["frame"], rows[125]["items"]) == ("125", "3")


def test_only_confirmed_and_covered_tracks_are_written(tmp_path: Path) -> None:
    def track(number: int, state: TrackState, label: str) -> Track:
        return Track(number, (10.0, 10.0, 30.0, 40.0), (0.0, 0.0), 0.8, state, 1.0, ((label, 0.9),), 1.0, 2.0, True)

    states = (TrackState.TENTATIVE, TrackState.CONFIRMED, TrackState.OCCLUDED, TrackState.LOST)
    with TrackFile(tmp_path / "tracks.txt", ["soup", "tea"]) as file:
        file.add(Tracks(14, 0.5, tuple(track(i, state, "tea") for i, state in enumerate(states, start=1))))
        file.add(Tracks(15, 0.6, (track(2, TrackState.CONFIRMED, "@item"),)))
    assert (tmp_path / "tracks.txt").read_text().splitlines() == [
        "15,2,10.00,10.00,20.00,30.00,0.8000,2,1.000",
        "15,3,10.00,10.00,20.00,30.00,0.8000,2,1.000",
        "16,2,10.00,10.00,20.00,30.00,0.8000,0,1.000",
    ]


def page(recording: Recording, truth: Truth) -> str:
    judged = score(recording, truth, made_up.PRICES)
    result = figures(recording, judged, [])
    heading = Heading("<clip> & more.mp4", "lane.yaml", "0" * 64, "fixed@1", "lane1", 2)
    return render(heading, recording, judged, truth, result, Wording({"tea": "Tea"}, "EUR"), {"tray 2": b"\xff\xd8"})


def test_the_report_stands_alone_and_escapes_names() -> None:
    recording, truth = made_up.two_trays()
    html = page(recording, truth)
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", html)
    assert "http" not in html
    assert "@import" not in html
    assert "url(" not in html
    assert "&lt;clip&gt; &amp; more.mp4" in html
    assert "Worst trays" in html
    assert "data:image/jpeg;base64,/9g=" in html
    assert "nan" not in html.lower().replace("finance", "")


def test_the_report_without_truth_or_frames_says_so() -> None:
    recording, _ = made_up.two_trays()
    assert "Give --truth" in page(recording, Truth())
    empty = page(Recording("lane1"), Truth())
    assert "No bill was opened" in empty
    assert "unknown" in empty


def write_half(out: Path, failure: BaseException) -> None:
    with whole_folder(out) as part:
        (part / "metrics.json").write_text("half")
        raise failure


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SourceOpenError):
        write_half(out, SourceOpenError("gone"))
    assert list(tmp_path.iterdir()) == []


def test_an_earlier_replay_is_replaced_and_survives_a_failure(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for content in ("first", "second"):
        with whole_folder(out) as part:
            (part / "metrics.json").write_text(content)
    with pytest.raises(KeyboardInterrupt):
        write_half(out, KeyboardInterrupt())
    assert (out / "metrics.json").read_text() == "second"
    assert list(tmp_path.iterdir()) == [out]


def test_somebody_elses_folder_or_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no replay wrote"), whole_folder(tmp_path):
        pass
    with pytest.raises(ConfigError, match="is a file"), whole_folder(tmp_path / "notes.txt"):
        pass
    with pytest.raises(ConfigError, match="cannot make this folder"), whole_folder(tmp_path / "notes.txt" / "out"):
        pass


def test_a_full_disk_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="free space"), whole_folder(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []

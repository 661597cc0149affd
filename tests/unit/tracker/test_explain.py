"""Why each track is where it is: one true line for each, and none unless asked for."""

from __future__ import annotations

from collections.abc import Sequence

from core.records import TrackNote, Tracks
from tests.unit.tracker.counter_world import Item, hand, item, play, tracker
from tracker.settings import COUNTER

ASKED = COUNTER.model_copy(update={"explain": True})


def _told(scene: Sequence[Sequence[Item]]) -> list[Tracks]:
    return play(scene, on=tracker(ASKED))


def _note(tracks: Tracks, track_id: int) -> TrackNote:
    return next(note for note in tracks.notes if note.track_id == track_id)


def test_nothing_is_told_unless_asked_for() -> None:
    assert all(tracks.notes == () for tracks in play([[item(200, 150)]] * 5))


def test_asking_changes_nothing_else() -> None:
    scene = [[item(200, 150), item(400, 150)]] * 10 + [[hand(200, 150)]] * 10 + [[item(200, 150)]] * 10
    assert [tracks.tracks for tracks in _told(scene)] == [tracks.tracks for tracks in play(scene)]


def test_every_track_has_one_note_in_every_frame() -> None:
    scene = [[item(200, 150), item(400, 150)]] * 10 + [[hand(200, 150)]] * 10 + [[item(200, 150)]] * 30
    before: set[int] = set()
    for tracks in _told(scene):
        now = {track.track_id for track in tracks.tracks}
        assert [note.track_id for note in tracks.notes] == sorted(before | now)
        before = now


def test_a_life_in_verdicts() -> None:
    rest = item(450, 150)
    scene = [[item(200, 150), rest]] * 20 + [[hand(200, 150), rest]] * 20 + [[item(200, 150), rest]] * 10
    scene += [[rest]] * 30
    said = _told(scene)
    assert _note(said[0], 1).verdict == "born"
    assert (_note(said[5], 1).verdict, _note(said[5], 1).detection is not None) == ("matched", True)
    assert _note(said[30], 1).verdict == "hidden"
    assert "100%" in _note(said[30], 1).why
    assert _note(said[40], 1).verdict == "found"
    assert "occluded for 1.0 s" in _note(said[40], 1).why
    assert _note(said[51], 1).verdict == "coasting"
    assert "no detection is near" in _note(said[51], 1).why
    assert _note(said[70], 1).verdict == "lost"


def test_a_detection_that_another_track_took_is_named() -> None:
    two = [item(200, 150), item(255, 150)]
    said = _told([two] * 20 + [[item(228, 150)]] * 3)
    unlucky = next(note for note in said[20].notes if note.detection is None)
    lucky = next(note for note in said[20].notes if note.detection is not None)
    assert f"went to track {lucky.track_id}" in unlucky.why


def test_a_ghost_is_called_one() -> None:
    said = _told([[item(450, 150)]] * 5 + [[item(450, 150), item(100, 100)]] + [[item(450, 150)]] * 20)
    last = next(note for tracks in said for note in tracks.notes if note.verdict == "removed")
    assert "ghost" in last.why

"""The optical flow on pictures whose motion is known, because the test made it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tracker.flow import FlowReading, FlowSettings, OpticalFlow
from tracker.flow_camera import camera_motion
from tracker.flow_picture import Picture, changed_blocks, common_jumps

WIDE, HIGH = 640, 360
Image = NDArray[np.uint8]
NOBODY = (np.zeros((0, 4)), np.zeros(0, np.int64), np.zeros(0, bool))


@cache
def texture(seed: int, side: int = 1200, contrast: float = 35.0, level: float = 120.0) -> NDArray[np.float32]:
    """Return a grey cloud with detail of some pixels."""
    rng = np.random.default_rng(seed)
    cloud = cv2.GaussianBlur(rng.normal(0, 1, (side, side)).astype(np.float32), (0, 0), 3.0)
    return (level + contrast * cloud / cloud.std()).astype(np.float32)


@dataclass
class Patch:
    """A textured disc, drawn between pixels."""

    x: float
    y: float
    radius: float
    skin: NDArray[np.float32]

    def draw(self, ground: NDArray[np.float32]) -> None:
        left, top = int(self.x - self.radius) - 2, int(self.y - self.radius) - 2
        x0, y0 = max(left, 0), max(top, 0)
        x1, y1 = min(left + int(2 * self.radius) + 5, WIDE), min(top + int(2 * self.radius) + 5, HIGH)
        if x0 >= x1 or y0 >= y1:
            return
        shift = np.array([[1, 0, self.x - 600 - x0], [0, 1, self.y - 600 - y0]], np.float64)
        moved = cv2.warpAffine(self.skin, shift, (x1 - x0, y1 - y0), borderMode=cv2.BORDER_REFLECT)
        y, x = np.mgrid[y0:y1, x0:x1]
        inside = np.clip(self.radius + 0.5 - np.hypot(x - self.x, y - self.y), 0, 1)
        ground[y0:y1, x0:x1] += (moved - ground[y0:y1, x0:x1]) * inside

    def box(self) -> list[float]:
        return [self.x - self.radius, self.y - self.radius, self.x + self.radius, self.y + self.radius]


@dataclass
class Scene:
    """A counter, dishes on it, and the camera over it."""

    patches: list[Patch]
    ground: NDArray[np.float32] = field(default_factory=lambda: texture(1, contrast=20))
    noise: float = 2.0
    seed: int = 7

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def shoot(self, camera: NDArray[np.float64] | None = None, gain: float = 1.0) -> Image:
        picture = self.ground[300 : 300 + HIGH, 300 : 300 + WIDE].copy()
        if camera is not None:
            # The counter goes on beyond the frame: warp it from the whole ground.
            whole = camera.copy()
            whole[:, 2] -= camera[:, :2] @ (300, 300)
            picture = cv2.warpAffine(self.ground, whole, (WIDE, HIGH), borderMode=cv2.BORDER_REFLECT)
        for patch in self.patches:
            patch.draw(picture)
        grain = self.rng.standard_normal((HIGH, WIDE, 3), np.float32)
        grey = picture[..., None] * np.float32(gain) + np.float32(self.noise) * grain
        return np.clip(np.rint(grey), 0, 255).astype(np.uint8)

    def tracks(self, count: int | None = None) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
        patches = self.patches[:count]
        boxes = np.array([p.box() for p in patches]).reshape(-1, 4)
        return boxes, np.arange(1, len(patches) + 1), np.zeros(len(patches), bool)


def two_dishes() -> Scene:
    return Scene([Patch(200, 180, 45, texture(2)), Patch(420, 160, 40, texture(3))])


def move(scene: Scene, dx: float, dy: float, which: int = 0) -> None:
    scene.patches[which].x += dx
    scene.patches[which].y += dy


@pytest.mark.parametrize("step", [(0.6, 0.0), (1.7, -0.9), (5.3, 3.1), (-12.0, 4.0), (26.0, -10.0), (60.0, 20.0)])
def test_a_known_translation_is_recovered(step: tuple[float, float]) -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    tracks = scene.tracks()
    move(scene, *step)
    reading = flow.read(scene.shoot(), *tracks)
    assert not reading.still
    assert reading.certain.min() > 0.6
    np.testing.assert_allclose(reading.moved, [step, (0, 0)], atol=0.3)
    np.testing.assert_allclose(reading.camera, np.eye(2, 3), atol=1e-9)


def test_motion_over_many_frames_does_not_run_away() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    total = np.zeros(2)
    for _ in range(40):
        tracks = scene.tracks()
        move(scene, 2.3, 0.7)
        total += flow.read(scene.shoot(), *tracks).moved[0]
    np.testing.assert_allclose(total, [92, 28], atol=1.0)


def similarity(scale: float, degrees: float, dx: float, dy: float) -> NDArray[np.float64]:
    matrix = np.asarray(cv2.getRotationMatrix2D((WIDE / 2, HIGH / 2), degrees, scale), np.float64)
    matrix[:, 2] += (dx, dy)
    return matrix


@pytest.mark.parametrize(
    "camera",
    [
        similarity(1.0, 0.0, 3.4, -1.8),
        similarity(1.0, 0.0, 60.0, -25.0),
        similarity(1.0, 0.0, -58.0, 60.0),
        similarity(1.02, 0.0, 0.0, 0.0),
        similarity(1.0, 1.5, 2.0, 1.0),
        similarity(0.98, -2.0, 8.0, 5.0),
    ],
    ids=["shift", "jump", "jump_back", "zoom", "turn", "all"],
)
def test_camera_motion_is_recovered(camera: NDArray[np.float64]) -> None:
    scene, flow = Scene([]), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    reading = flow.read(scene.shoot(camera), *NOBODY)
    assert reading.camera_certain > 0.6
    corners = np.array([[0, 0], [WIDE, 0], [0, HIGH], [WIDE, HIGH], [WIDE / 2, HIGH / 2]], float)
    # cv2 warps pixel centres, boxes count from pixel edges: half a pixel before and after.
    truth = (corners - 0.5) @ camera[:, :2].T + camera[:, 2] + 0.5
    found = corners @ reading.camera[:, :2].T + reading.camera[:, 2]
    assert np.hypot(*(found - truth).T).mean() < 0.3


def test_a_tray_that_jumps_before_a_standing_background() -> None:
    skins = [texture(seed) for seed in range(2, 6)]
    places = ((130, 120), (230, 120), (130, 220), (230, 220))
    scene = Scene([Patch(x, y, 40, skin) for (x, y), skin in zip(places, skins, strict=True)])
    flow = OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    tracks = scene.tracks()
    for which in range(4):
        move(scene, 60.0, 5.0, which)
    reading = flow.read(scene.shoot(), *tracks)
    assert (reading.certain > 0.5).all()
    np.testing.assert_allclose(reading.moved, np.tile([60.0, 5.0], (4, 1)), atol=0.3)
    np.testing.assert_allclose(reading.camera, np.eye(2, 3), atol=1e-9)


@pytest.mark.parametrize("noise", [0.0, 1.5, 3.0, 5.0])
def test_noise_and_flicker_are_still(noise: float) -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    scene.noise = noise
    flow.read(scene.shoot(), *NOBODY)
    for frame in range(20):
        reading = flow.read(scene.shoot(gain=1.0 + 0.02 * np.sin(frame)), *scene.tracks())
        assert reading.still
        assert (reading.certain == 1).all()
        assert (reading.moved == 0).all()
        assert reading.camera_certain == 1


def test_a_small_dish_that_moves_is_not_still() -> None:
    scene, flow = Scene([Patch(300, 200, 12, texture(5))], noise=3.0), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    tracks = scene.tracks()
    move(scene, 1.0, 0.0)
    assert not flow.read(scene.shoot(), *tracks).still


def test_a_motion_too_slow_for_two_frames_adds_up() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    total, still = np.zeros(2), 0
    for _ in range(60):
        tracks = scene.tracks()
        move(scene, 0.05, 0.0)
        reading = flow.read(scene.shoot(), *tracks)
        total, still = total + reading.moved[0], still + reading.still
    assert still > 30
    np.testing.assert_allclose(total, [3.0, 0.0], atol=0.6)


def cross(scene: Scene, flow: OpticalFlow, radius: float, flagged: bool) -> list[FlowReading]:
    """Let a textured hand pass over the first dish, there and back, and return what was read."""
    scene.patches.append(Patch(200, HIGH + radius, radius, texture(11, contrast=25, level=150)))
    readings = []
    for dy in [-9.0] * 30 + [9.0] * 30:
        boxes, ids, hidden = scene.tracks(2)
        hand = scene.patches[-1]
        hidden[0] = flagged and np.hypot(hand.x - 200, hand.y - 180) < radius + 30
        move(scene, 0.0, dy, -1)
        readings.append(flow.read(scene.shoot(), boxes, ids, hidden))
    return readings


@pytest.mark.parametrize("flagged", [False, True], ids=["hand_unknown", "hand_known"])
@pytest.mark.parametrize("radius", [30.0, 60.0])
def test_a_hand_does_not_drag_the_dish_along(radius: float, flagged: bool) -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    move(scene, 0.5, 0.0, 1)
    flow.read(scene.shoot(), *scene.tracks())
    readings = cross(scene, flow, radius, flagged)
    for reading in readings:
        assert np.abs(reading.moved[0]).max() < 0.5 or reading.certain[0] < 0.5
    # What the dish is said to have moved in all, the hand having gone up and down by 270 pixels.
    total = np.cumsum([r.moved[0] * (r.certain[0] >= 0.5) for r in readings], axis=0)
    assert np.abs(total).max() < 1.5
    assert readings[-1].certain[0] > 0.6


def test_a_carried_dish_goes_with_the_hand_that_covers_half_of_it() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    scene.patches.append(Patch(200, 235, 40, texture(11)))
    flow.read(scene.shoot(), *NOBODY)
    for _ in range(15):
        tracks = scene.tracks(2)
        move(scene, 6.0, -2.0, 0)
        move(scene, 6.0, -2.0, 2)
        reading = flow.read(scene.shoot(), *tracks)
        assert reading.certain[0] > 0.4
        np.testing.assert_allclose(reading.moved[0], [6.0, -2.0], atol=0.3)


def test_no_texture_no_evidence() -> None:
    plate = np.full((1200, 1200), 235, np.float32)
    scene, flow = Scene([Patch(200, 180, 45, plate), Patch(420, 160, 40, texture(3))]), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    for _ in range(6):
        tracks = scene.tracks()
        move(scene, 4.0, 0.0)
        reading = flow.read(scene.shoot(), *tracks)
        assert reading.certain[0] == 0
        assert (reading.moved[0] == 0).all()


def test_without_background_the_camera_is_unknown() -> None:
    plain = np.full((1200, 1200), 90, np.float32)
    scene, flow = Scene([Patch(200, 180, 45, texture(2))], ground=plain), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    tracks = scene.tracks()
    move(scene, 4.0, 0.0)
    reading = flow.read(scene.shoot(), *tracks)
    assert reading.camera_certain == 0
    np.testing.assert_array_equal(reading.camera, np.eye(2, 3))
    np.testing.assert_allclose(reading.moved[0], [4.0, 0.0], atol=0.3)


def test_points_of_a_removed_track_are_dropped() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    for _ in range(3):
        boxes, ids, hidden = scene.tracks()
        move(scene, 3.0, 0.0)
        flow.read(scene.shoot(), boxes, ids, hidden)
    assert set(flow._points.owner.tolist()) >= {1, 2}
    boxes, ids, hidden = scene.tracks()
    move(scene, 3.0, 0.0)
    reading = flow.read(scene.shoot(), boxes[1:], ids[1:], hidden[1:])
    assert reading.moved.shape == (1, 2)
    assert 1 not in flow._points.owner
    assert set(flow._points._tried) == {2}


def test_rows_follow_the_ids_in_whatever_order_they_come() -> None:
    scene = two_dishes()
    one, other = OpticalFlow(FlowSettings()), OpticalFlow(FlowSettings())
    turned = np.array([1, 0])
    first = scene.shoot()
    one.read(first, *NOBODY)
    other.read(first, *NOBODY)
    for _ in range(5):
        boxes, ids, hidden = scene.tracks()
        move(scene, 3.0, 1.0)
        image = scene.shoot()
        a = one.read(image, boxes, ids, hidden)
        b = other.read(image, boxes[turned], ids[turned], hidden[turned])
        np.testing.assert_allclose(a.moved, b.moved[turned], atol=0.05)


@pytest.mark.parametrize("tracks", [1, 10, 40, 200])
def test_points_are_bounded_and_shared(tracks: int) -> None:
    rng = np.random.default_rng(0)
    settings = FlowSettings(most_points=96)
    scene, flow = Scene([]), OpticalFlow(settings, explain=True)
    ids = np.arange(1, tracks + 1)
    low = rng.uniform((0, 0), (WIDE - 60, HIGH - 60), (tracks, 2))
    for frame in range(25):
        camera = similarity(1.0, 0.0, 3.0 * np.sin(frame), 0.0)
        reading = flow.read(scene.shoot(camera), np.hstack([low, low + 55]), ids, np.zeros(tracks, bool))
        assert len(flow._points) <= settings.most_points
        assert len(reading.points) <= settings.most_points
        assert len(flow._points._tried) <= tracks
    counts = np.bincount(flow._points.owner[flow._points.owner > 0], minlength=tracks + 1)[1:]
    assert counts.max() <= settings.points_per_track
    assert (counts > 0).sum() >= min(tracks, 24) * 0.9


def test_hidden_tracks_get_no_points() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    boxes, ids, _ = scene.tracks()
    move(scene, 3.0, 0.0)
    reading = flow.read(scene.shoot(), boxes, ids, np.array([True, False]))
    assert reading.certain[0] == 0
    assert reading.certain[1] > 0.5


def film(seed: int) -> list[Image]:
    scene = two_dishes()
    scene.seed = seed
    scene.__post_init__()
    shots = [scene.shoot()]
    for frame in range(8):
        move(scene, 4.0, 1.0)
        shots.append(scene.shoot(similarity(1.0, 0.2 * frame, 1.0, 0.0)))
    return shots


def readings(shots: list[Image]) -> list[FlowReading]:
    flow = OpticalFlow(FlowSettings(), explain=True)
    scene, found = two_dishes(), []
    for shot in shots:
        found.append(flow.read(shot, *scene.tracks()))
        move(scene, 4.0, 1.0)
    return found


def assert_equal_readings(one: list[FlowReading], other: list[FlowReading]) -> None:
    for a, b in zip(one, other, strict=True):
        for name in ("still", "camera", "camera_certain", "moved", "certain", "points"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_same_frames_same_readings_whatever_the_threads_and_the_random_numbers() -> None:
    shots = film(3)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        cv2.setRNGSeed(1)
        one = readings(shots)
        cv2.setNumThreads(4)
        cv2.setRNGSeed(2)
        other = readings(shots)
    finally:
        cv2.setNumThreads(threads)
    assert_equal_readings(one, other)
    assert len(one[-1].points) > 10


def test_a_frame_is_neither_changed_nor_kept() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings(width_px=WIDE))
    shot = scene.shoot()
    shot.flags.writeable = False
    before = shot.copy()
    flow.read(shot, *NOBODY)
    np.testing.assert_array_equal(shot, before)
    assert flow._before is not None
    assert not np.shares_memory(flow._before.grey, shot)


def test_another_size_begins_anew() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    move(scene, 3.0, 0.0)
    flow.read(scene.shoot(), *scene.tracks())
    boxes, ids, hidden = scene.tracks()
    large = np.asarray(cv2.resize(scene.shoot(), (1280, 720)), np.uint8)
    reading = flow.read(large, boxes * 2, ids, hidden)
    assert not reading.still
    assert (reading.certain == 0).all()
    assert reading.camera_certain == 0
    move(scene, 3.0, 0.0)
    reading = flow.read(np.asarray(cv2.resize(scene.shoot(), (1280, 720)), np.uint8), boxes * 2, ids, hidden)
    np.testing.assert_allclose(reading.moved[0], [6.0, 0.0], atol=0.4)


def test_after_a_gap_nothing_is_known() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    flow.read(scene.shoot(), *NOBODY)
    flow.read(scene.shoot(), *scene.tracks())
    flow.forget()
    move(scene, 3.0, 0.0)
    reading = flow.read(scene.shoot(), *scene.tracks())
    assert not reading.still
    assert (reading.certain == 0).all()
    assert len(flow._points) == 0


def test_off_says_nothing() -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings(when="never"))
    for _ in range(3):
        move(scene, 3.0, 0.0)
        reading = flow.read(scene.shoot(), *scene.tracks())
        assert not reading.still
        assert (reading.certain == 0).all()


@pytest.mark.parametrize(
    "box",
    [
        [-500, -500, -400, -400],
        [600, 300, 900, 700],
        [-1e9, -1e9, 1e9, 1e9],
        [100, 100, 100, 100],
        [100, 100, 101, 101],
        [200, 200, 100, 100],
        [np.nan, 0, 10, 10],
        [0, 0, np.inf, 10],
    ],
)
def test_odd_boxes_are_survived(box: list[float]) -> None:
    scene, flow = two_dishes(), OpticalFlow(FlowSettings())
    for _ in range(4):
        boxes, ids, hidden = scene.tracks()
        move(scene, 3.0, 0.0)
        reading = flow.read(scene.shoot(), np.vstack([boxes, box]), np.append(ids, 9), np.append(hidden, False))
        assert np.isfinite(reading.moved).all()
        assert ((reading.certain >= 0) & (reading.certain <= 1)).all()
    np.testing.assert_allclose(reading.moved[0], [3.0, 0.0], atol=0.3)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (64, 64), (33, 47)])
def test_small_frames_are_survived(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    flow = OpticalFlow(FlowSettings())
    for _ in range(3):
        image = rng.integers(0, 255, (*size, 3), dtype=np.uint8)
        reading = flow.read(image, np.array([[0.0, 0.0, 30.0, 30.0]]), np.array([1]), np.array([False]))
        assert np.isfinite(reading.camera).all()


def test_nobody_there() -> None:
    scene, flow = Scene([]), OpticalFlow(FlowSettings())
    for frame in range(3):
        reading = flow.read(scene.shoot(similarity(1.0, 0.0, 4.0 * frame, 0.0)), *NOBODY)
        assert reading.moved.shape == (0, 2)
        assert reading.certain.shape == (0,)
    np.testing.assert_allclose(reading.camera, [[1, 0, 4], [0, 1, 0]], atol=0.2)


def test_wrong_shapes_are_refused() -> None:
    flow, image = OpticalFlow(FlowSettings()), np.zeros((HIGH, WIDE, 3), np.uint8)
    boxes, ids, hidden = two_dishes().tracks()
    with pytest.raises(ValueError, match="uint8"):
        flow.read(image[..., 0], boxes, ids, hidden)
    with pytest.raises(ValueError, match="belong together"):
        flow.read(image, boxes, ids[:1], hidden)
    with pytest.raises(ValueError, match="negative"):
        flow.read(image, boxes, ids - 5, hidden)


def test_the_simplest_motion_that_explains_is_taken() -> None:
    rng = np.random.default_rng(0)
    before = rng.uniform((0, 0), (WIDE, HIGH), (24, 2))
    noise = rng.normal(0, 0.15, (24, 2))
    camera, votes = camera_motion(before, before + noise, 1.2, 0.0)
    np.testing.assert_array_equal(camera, np.eye(2, 3))
    assert votes == 24
    shift = np.array([2.0, -1.0])
    camera, _ = camera_motion(before, before + shift + noise, 1.2, 0.0)
    np.testing.assert_array_equal(camera[:, :2], np.eye(2))
    outliers = before + shift + noise
    outliers[:9] += rng.uniform(20, 60, (9, 2))
    camera, votes = camera_motion(before, outliers, 1.2, 0.0)
    np.testing.assert_allclose(camera, [[1, 0, 2], [0, 1, -1]], atol=0.15)
    assert votes == 15


def test_points_on_one_spot_do_not_break_the_fit() -> None:
    before = np.full((10, 2), 50.0)
    camera, votes = camera_motion(before, before + 3.0, 1.2, 0.0)
    np.testing.assert_allclose(camera, [[1, 0, 3], [0, 1, 3]])
    assert votes == 10
    assert camera_motion(before[:3], before[:3], 1.2, 0.0)[1] == 0
    assert camera_motion(before, before + 3.0, 1.2, 300.0)[1] == 0


def test_a_jump_is_the_first_proposal_and_no_jump_is_none() -> None:
    scene = Scene([])
    first = Picture.take(scene.shoot(), 320)
    again = Picture.take(scene.shoot(), 320)
    moved = Picture.take(scene.shoot(similarity(1.0, 0.0, -60.0, 40.0)), 320)
    assert changed_blocks(first, again, 3.0, 4.0) is None
    changed = changed_blocks(first, moved, 3.0, 4.0)
    assert changed is not None
    np.testing.assert_allclose(common_jumps(first, moved, changed, 2)[0], [-30.0, 20.0], atol=2.1)
    assert len(common_jumps(first, moved, changed, 0)) == 0

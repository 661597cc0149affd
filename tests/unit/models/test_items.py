"""Items without classes, and models at other sizes than their card's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.errors import ModelMismatch
from core.records import HAND, ITEM, Detections, Frame
from models.candidates import Candidates
from models.card import ModelCard, load_card
from models.items import as_items, items_card
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings
from tests.onnx_graphs import card_for, put_yolox, write_graph, yolox_heads

CLASSES = ("cup", "plate", "fingers")
MAP = {"cup": "cup", "plate": "plate", "fingers": HAND}


def frame(height: int = 64, width: int = 64) -> Frame:
    return Frame("lane", 0, 0.0, 0.0, np.zeros((height, width, 3), np.uint8))


def seen_by(card: ModelCard, **settings: object) -> tuple[Detections, tuple[str, ...]]:
    detector = OrtDetector(card, DetectorSettings(device="cpu", items_only=True, **settings))  # type: ignore[arg-type]
    found = detector.detect([frame()])[0]
    labels = detector.labels
    detector.close()
    return found, labels


def three_things(path: Path, **changes: object) -> ModelCard:
    """A cup, something of no class, and a hand."""
    heads = yolox_heads(classes=3)
    put_yolox(heads, (2, 2, 18, 18), 0.9, (0.8, 0.1, 0.05))
    put_yolox(heads, (26, 2, 42, 18), 0.8, (0.01, 0.02, 0.01))
    put_yolox(heads, (2, 34, 18, 58), 0.7, (0.02, 0.02, 0.9))
    return card_for(write_graph(path, {"out": heads}), classes=list(CLASSES), **changes)


def test_scores_are_presence_shared_between_item_and_hand(tmp_path: Path) -> None:
    found, labels = seen_by(three_things(tmp_path / "m.onnx", class_map=MAP))
    assert labels == (ITEM, HAND)
    assert [labels[i] for i in found.class_ids] == [ITEM, ITEM, HAND]
    np.testing.assert_allclose(found.scores, [0.9 * (1 - 0.05), 0.8 * (1 - 0.01), 0.7 * 0.9], rtol=1e-5)
    assert found.class_probs is not None
    np.testing.assert_allclose(found.class_probs.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found.boxes[1], [26, 2, 42, 18], atol=1e-3)


def test_with_classes_a_thing_of_no_class_is_not_seen(tmp_path: Path) -> None:
    card = three_things(tmp_path / "m.onnx", class_map=MAP)
    detector = OrtDetector(card, DetectorSettings(device="cpu"))
    assert len(detector.detect([frame()])[0].boxes) == 2
    assert detector.labels == ("cup", "plate", HAND)


def test_ignored_classes_stay_ignored(tmp_path: Path) -> None:
    mapped = {"plate": "plate", "fingers": HAND}  # cups are ignored
    found, labels = seen_by(three_things(tmp_path / "m.onnx", class_map=mapped))
    assert labels == (ITEM, HAND)
    np.testing.assert_allclose(found.boxes[:, 0], [26, 2], atol=1e-3)
    assert found.boxes[1, 1] == pytest.approx(34, abs=1e-3)


def test_a_model_without_hands_knows_items_alone(tmp_path: Path) -> None:
    card = three_things(tmp_path / "m.onnx")  # no class map: "fingers" is a dish like others
    found, labels = seen_by(card)
    assert labels == (ITEM,)
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7], rtol=1e-5)
    assert items_card(card).labels == (ITEM,)


def test_a_detector_without_objectness_is_as_sure_as_of_its_best_class(tmp_path: Path) -> None:
    """yolov8: rows are centre x, y, width, height and class scores; columns are cells."""
    columns = [
        [10, 10, 16, 16, 0.7, 0.2, 0.0],
        [34, 10, 16, 16, 0.3, 0.4, 0.0],
        [10, 46, 16, 24, 0.1, 0.0, 0.8],
        [50, 50, 10, 10, 0.01, 0.02, 0.01],
        [50, 30, 10, 10, 0.0, 0.0, 0.35],  # a hand that it is not sure of is no item for that
    ]
    heads = np.array(columns, np.float32).T[None]
    path = write_graph(tmp_path / "v8.onnx", {"out": heads})
    card = card_for(path, decoder="yolov8", classes=list(CLASSES), class_map=MAP)
    found, labels = seen_by(card)
    assert labels == (ITEM, HAND)
    assert [labels[i] for i in found.class_ids] == [HAND, ITEM, ITEM, HAND]
    np.testing.assert_allclose(found.scores, [0.8 * 0.8 / 0.9, 0.7, 0.4, 0.35], rtol=1e-4)


def test_two_classes_on_one_thing_are_one_item(tmp_path: Path) -> None:
    heads = yolox_heads(classes=3)
    put_yolox(heads, (2, 2, 18, 18), 0.9, (0.8, 0.1, 0.0))
    put_yolox(heads, (3, 3, 35, 35), 0.5, (0.1, 0.8, 0.0))  # another cell
    heads[0, 64] = [10 / 16, 10 / 16, np.log(16 / 16), np.log(16 / 16), 0.85, 0.1, 0.8, 0.0]  # same box, stride 16
    card = card_for(write_graph(tmp_path / "m.onnx", {"out": heads}), classes=list(CLASSES), class_map=MAP)
    found, _ = seen_by(card)
    np.testing.assert_allclose(found.scores, [0.9, 0.5], rtol=1e-5)


def test_no_candidates_are_no_items(tmp_path: Path) -> None:
    card = three_things(tmp_path / "m.onnx", class_map=MAP)
    none = Candidates(np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32))
    assert as_items(none, card).scores.shape == (0, 2)
    found, _ = seen_by(card, min_score=0.95)
    assert len(found.boxes) == 0


def test_the_threshold_is_about_presence_not_about_classes(tmp_path: Path) -> None:
    found, _ = seen_by(three_things(tmp_path / "m.onnx", class_map=MAP), min_score=0.75)
    np.testing.assert_allclose(found.scores, [0.855, 0.792], rtol=1e-4)


class TestSizes:
    """The shipped net takes any multiple of 32; a model of a fixed size says so."""

    @pytest.fixture(scope="class")
    @staticmethod
    def shipped() -> ModelCard:
        return load_card("traynet@2")

    @pytest.fixture(scope="class")
    @staticmethod
    def picture() -> np.ndarray:
        image = np.full((360, 360, 3), 205, np.uint8)
        image += np.random.default_rng(0).integers(0, 5, image.shape, dtype=np.uint8)
        for x, y, colour in ((40, 50, (180, 60, 40)), (210, 60, (60, 120, 50)), (120, 220, (210, 170, 80))):
            image[y : y + 90, x : x + 90] = (np.array(colour) * 0.4).astype(np.uint8)
            image[y + 4 : y + 86, x + 4 : x + 86] = colour
            image[y + 30 : y + 50, x + 20 : x + 70] = (250, 250, 240)
        return image

    @pytest.mark.parametrize("size", [(320, 320), (640, 352), None])
    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_the_shipped_net_at_any_size(
        self, picture: np.ndarray, size: tuple[int, int] | None, precision: str
    ) -> None:
        settings = DetectorSettings(device="cpu", size=size, items_only=True, min_score=0.2)
        card = load_card("traynet@2", precision="int8" if precision == "int8" else "fp32")
        detector = OrtDetector(card, settings)
        assert detector.labels == (ITEM, HAND)
        shots = [Frame("lane", i, 0.0, 0.0, image) for i, image in enumerate((picture, picture[:, ::-1].copy()))]
        for found, mirrored in zip(detector.detect(shots), (False, True), strict=True):
            for x, y in ((40, 50), (210, 60), (120, 220)):
                left = 360 - x - 90 if mirrored else x
                overlap = np.minimum(found.boxes[:, 2:], [left + 90, y + 90]) - np.maximum(
                    found.boxes[:, :2], [left, y]
                )
                shared = np.clip(overlap, 0, None).prod(axis=1)
                areas = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1)
                assert (shared / (areas + 8100 - shared)).max(initial=0) > 0.6
        detector.close()

    def test_a_size_is_a_multiple_of_the_strides(self, shipped: ModelCard) -> None:
        for size in ((330, 320), (320, 100), (0, 320), (-32, 32), (320, 1 << 20)):
            with pytest.raises(ModelMismatch, match=rf"input {size[0]}x{size[1]} .*multiples of 32.*detector\.size"):
                OrtDetector(shipped, DetectorSettings(device="cpu", size=size))
        assert shipped.sized(None) is shipped
        assert (shipped.sized((64, 96)).input.width, shipped.sized((64, 96)).input.height) == (64, 96)
        assert (shipped.input.width, shipped.input.height) == (320, 192)

    @pytest.fixture
    def fixed(self, tmp_path: Path) -> ModelCard:
        return card_for(write_graph(tmp_path / "fixed.onnx", {"out": yolox_heads()}))

    def test_a_model_of_a_fixed_size_names_both(self, fixed: ModelCard) -> None:
        with pytest.raises(ModelMismatch, match=r"\(any, 3, 64, 64\).*96x64.*models\.detector\.size"):
            OrtDetector(fixed, DetectorSettings(device="cpu", size=(96, 64)))
        OrtDetector(fixed, DetectorSettings(device="cpu", size=(64, 64))).close()

    def test_heads_of_a_fixed_size_behind_a_free_input_are_found_out(self, tmp_path: Path) -> None:
        path = write_graph(tmp_path / "half.onnx", {"out": yolox_heads()}, ("n", 3, "h", "w"))
        with pytest.raises(ModelMismatch, match="96x64 have 126 cells"):
            OrtDetector(card_for(path), DetectorSettings(device="cpu", size=(96, 64)))

"""int8: which nodes keep their floats, that weights get smaller and stay right, and what is refused."""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from core.errors import DataError, ModelMismatch
from core.records import Frame
from models.card import load_card
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings
from tests.onnx_graphs import write_card, write_convnet
from training.detection_scores import Wanted
from training.int8_accuracy import agreement, ap50_on, check_accuracy
from training.quantise import QuantiseSettings, add_int8, nodes_kept_float, quantise

SIZE = (96, 64)


@pytest.fixture
def card_path(tmp_path: Path) -> Path:
    """A card with fp32 weights of a small net."""
    weights = write_convnet(tmp_path / "small@1.onnx", SIZE)
    return write_card(weights, name="small", input={"width": 96, "height": 64}, classes=["red", "green", "blue"])


def pictures(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    made = []
    for _ in range(count):
        picture = np.full((64, 96, 3), rng.integers(0, 256, 3), dtype=np.uint8)
        x, y = rng.integers(0, 60), rng.integers(0, 40)
        picture[y : y + 20, x : x + 30] = rng.integers(0, 256, 3)
        made.append(picture)
    return made


def test_first_and_last_convolutions_and_the_decoding_keep_their_floats(card_path: Path) -> None:
    graph = onnx.load(str(card_path.with_suffix(".onnx"))).graph
    by_name = {node.name: node for node in graph.node}
    kept = [by_name[name] for name in nodes_kept_float(graph)]
    weights = {node.input[1] for node in kept if node.op_type == "Conv"}
    heads = {f"{part}{stride}" for stride in (8, 16, 32) for part in ("box", "objectness", "classes")}
    assert weights == heads | {"stem"}
    assert {"Sigmoid", "Transpose"} <= {node.op_type for node in kept}
    every = {node.name for node in graph.node if node.op_type == "Conv"}
    assert not every & set(nodes_kept_float(graph, first=False, last=False))


def test_int8_is_smaller_says_nearly_the_same_and_repeats_byte_for_byte(card_path: Path, tmp_path: Path) -> None:
    card = load_card(str(card_path))
    for name in ("a.onnx", "b.onnx"):
        quantise(card, tmp_path / name, pictures(12))
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert str(tmp_path).encode() not in (tmp_path / "a.onnx").read_bytes()
    graph = onnx.load(str(tmp_path / "a.onnx")).graph
    kinds = Counter(tensor.data_type for tensor in graph.initializer if len(tensor.dims) == 4)
    assert kinds == {onnx.TensorProto.INT8: 5, onnx.TensorProto.FLOAT: 10}
    seven = [
        onnx.numpy_helper.to_array(t)
        for t in graph.initializer
        if t.data_type == onnx.TensorProto.INT8 and len(t.dims) == 4
    ]
    assert max(int(np.abs(t).max()) for t in seven) <= 64
    answers = []
    for path in (Path(card.file), tmp_path / "a.onnx"):
        detector = OrtDetector(card.model_copy(update={"file": str(path)}), DetectorSettings(device="cpu"))
        answers.append(detector._run(detector._take_batch(), 1)[0])
    difference = float(np.abs(answers[0] - answers[1]).max())
    assert 0 < difference < 0.1


@pytest.mark.parametrize("calibration", ["entropy", "percentile"])
def test_the_other_calibrations_run_quietly(
    card_path: Path, tmp_path: Path, calibration: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = QuantiseSettings(calibration=calibration, pictures=3, seven_bits=False)  # type: ignore[arg-type]
    quantise(load_card(str(card_path)), tmp_path / "c.onnx", pictures(6), settings)
    onnx.checker.check_model(str(tmp_path / "c.onnx"))
    assert capsys.readouterr().out == ""


def test_the_card_gets_a_variant_and_the_settings_choose_it(card_path: Path) -> None:
    shown = pictures(8)
    accuracy = add_int8(card_path, shown, lambda detector: 0.9, compared=shown[:3])
    assert accuracy.loss == 0
    card = load_card(str(card_path))
    assert (card.precision, card.full_name) == ("fp32", "small@1")
    assert card.variants["int8"].scores["ap50_of_fp32"] == 0.9
    low = load_card(str(card_path), precision="int8")
    assert (low.precision, low.full_name, low.ref) == ("int8", "small@1/int8", "small@1")
    assert Path(low.file).name == "small@1.int8.onnx"
    assert load_card(str(card_path), precision="auto").file == low.file
    assert load_card(str(card_path), precision="fp32").file == card.file
    found = OrtDetector(low, DetectorSettings(device="cpu")).detect([Frame("x", 0, 0.0, 0.0, shown[0])])[0]
    assert found.model == "small@1/int8"
    assert sorted(path.name for path in card_path.parent.iterdir()) == [
        "small@1.int8.onnx",
        "small@1.onnx",
        "small@1.yaml",
    ]


def test_without_int8_weights_int8_is_refused_and_auto_takes_what_is_there(card_path: Path) -> None:
    assert load_card(str(card_path), precision="auto").precision == "fp32"
    with pytest.raises(ModelMismatch, match=r"small@1: no int8 weights in its card; .*auto or fp32"):
        load_card(str(card_path), precision="int8")


@pytest.mark.parametrize("scores", [(0.9, 0.88), (0.9, float("nan"))])
def test_int8_that_loses_too_much_is_refused_and_nothing_is_written(
    card_path: Path, scores: tuple[float, float]
) -> None:
    before = card_path.read_text()
    answers = iter(scores)
    with pytest.raises(ModelMismatch, match=r"small@1: int8 scores .*, fp32 0\.9000; it may lose 0\.0100 at most"):
        add_int8(card_path, pictures(4), lambda detector: next(answers))
    assert card_path.read_text() == before
    assert sorted(path.name for path in card_path.parent.iterdir()) == ["small@1.onnx", "small@1.yaml"]


def test_a_wrecked_copy_is_caught_by_the_score(card_path: Path, tmp_path: Path) -> None:
    card = load_card(str(card_path))
    shown = pictures(4)
    detector = OrtDetector(card, DetectorSettings(device="cpu", min_score=0.02))
    truth = []
    for picture in shown:  # what fp32 finds is the truth here
        found = detector.detect([Frame("x", 0, 0.0, 0.0, picture)])[0]
        truth.append((picture, Wanted(found.boxes, found.class_ids, np.ones(len(found), dtype=bool))))
    score = ap50_on(truth)
    assert score(detector) > 0.99
    assert agreement(detector, detector, shown) == 1.0
    wrecked = onnx.load(card.file)
    for tensor in wrecked.graph.initializer:
        if tensor.name == "box8":
            tensor.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(tensor) * -40, tensor.name))
    (tmp_path / "wrecked.onnx").write_bytes(copy.deepcopy(wrecked).SerializeToString())
    with pytest.raises(ModelMismatch, match="it may lose"):
        check_accuracy(card, tmp_path / "wrecked.onnx", score)


def test_what_cannot_be_quantised_is_refused(card_path: Path, tmp_path: Path) -> None:
    card = load_card(str(card_path))
    with pytest.raises(DataError, match="no pictures to calibrate int8 with"):
        quantise(card, tmp_path / "out.onnx", [])
    quantise(card, tmp_path / "once.onnx", pictures(2))
    again = card.model_copy(update={"file": str(tmp_path / "once.onnx")})
    with pytest.raises(ModelMismatch, match="quantised already"):
        quantise(again, tmp_path / "twice.onnx", pictures(2))
    assert not (tmp_path / "out.onnx").exists()
    assert not (tmp_path / "twice.onnx").exists()

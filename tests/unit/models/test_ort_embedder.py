"""The embedder of the product: equal crops give equal vectors, cards of another task are refused, errors are told."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, helper, numpy_helper

from core.errors import ConfigError, InferenceError, ModelMismatch, ModelNotFound
from core.files import sha256_of
from models.card import SHIPPED, ModelCard, load_card
from models.crop_fit import fitted, resized
from models.device import Device
from models.embedder import Embedder
from models.ort_detector import OrtDetector
from models.ort_embedder import OrtEmbedder
from models.registry import Registry
from models.settings import DetectorSettings, EmbedderSettings

CPU = EmbedderSettings(device="cpu")
RNG = np.random.default_rng(5)
CROPS = [RNG.integers(0, 256, shape, dtype=np.uint8) for shape in ((90, 80, 3), (40, 130, 3), (1, 1, 3), (700, 500, 3))]


def write_net(path: Path, outputs: int = 4, gain: float = 1.0, shape: tuple[int | str, ...] = ("n", 3, 32, 32)) -> Path:
    """Write a graph whose vector k is (k + 1) * the crop's mean * gain."""
    weights = (np.arange(outputs, dtype=np.float32) + 1)[None] * np.float32(gain)
    nodes = [
        helper.make_node("ReduceMean", ["crops", "axes"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "column"], ["tall"]),
        helper.make_node("MatMul", ["tall", "weights"], ["vectors"]),
    ]
    constants = [
        numpy_helper.from_array(np.array([1, 2, 3], np.int64), "axes"),
        numpy_helper.from_array(np.array([-1, 1], np.int64), "column"),
        numpy_helper.from_array(weights, "weights"),
    ]
    crops = helper.make_tensor_value_info("crops", TensorProto.FLOAT, list(shape))
    vectors = helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [shape[0], outputs])
    graph = helper.make_graph(nodes, "means", [crops], [vectors], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), str(path))
    return path


def write_card(folder: Path, net: Path, **changes: object) -> Path:
    content = {
        "name": "tiny",
        "file": net.name,
        "sha256": sha256_of(net),
        "task": "embed",
        "dimensions": 4,
        "input": {"width": 32, "height": 32, "letterbox": "center"},
        "licence": "MIT",
        "source": "a test",
    } | changes
    card = folder / "tiny.yaml"
    card.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
    return card


def tiny(folder: Path, **changes: object) -> OrtEmbedder:
    return OrtEmbedder(load_card(str(write_card(folder, write_net(folder / "tiny.onnx"), **changes))), CPU)


@pytest.fixture(scope="module")
def shipped() -> OrtEmbedder:
    return OrtEmbedder(load_card("dish-embed@1"), CPU)


def test_the_shipped_embedder_gives_unit_vectors_of_its_length(shipped: OrtEmbedder) -> None:
    embedder: Embedder = shipped
    vectors = embedder.embed(CROPS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(CROPS), embedder.dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-6)
    assert embedder.name == "dish-embed@1"
    assert shipped.providers == ("CPUExecutionProvider",)
    assert np.abs(vectors[0] @ vectors[1:].T).max() < 0.999  # not one vector for everything


def test_no_crops_no_vectors(shipped: OrtEmbedder) -> None:
    assert shipped.embed([]).shape == (0, shipped.dimensions)


def test_a_vector_does_not_depend_on_the_batch(shipped: OrtEmbedder) -> None:
    together = shipped.embed(CROPS)
    for at in (2, 0, 3, 1):
        assert np.array_equal(shipped.embed([CROPS[at]])[0], together[at])


def test_a_vector_does_not_depend_on_the_crops_memory(shipped: OrtEmbedder) -> None:
    frame = np.zeros((200, 300, 3), np.uint8)
    frame[10:100, 20:100] = CROPS[0]
    assert np.array_equal(shipped.embed([frame[10:100, 20:100]]), shipped.embed([CROPS[0]]))


def test_several_threads_may_embed_at_once(shipped: OrtEmbedder) -> None:
    wanted = shipped.embed(CROPS)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: shipped.embed(CROPS), range(8)):
            assert np.array_equal(found, wanted)


def test_crops_keep_their_shape_and_lie_in_the_middle() -> None:
    spec = load_card("dish-embed@1").input
    white = np.full((20, 80, 3), 255, np.uint8)
    pixels = fitted(spec, white)
    assert pixels.shape == (3, spec.height, spec.width)
    table = [(np.array([0.0, 255.0]) * spec.scale - mean) / std for mean, std in zip(spec.mean, spec.std, strict=True)]
    rows = np.flatnonzero(np.isclose(pixels[0], table[0][1], atol=1e-4).all(axis=1))
    assert len(rows) == round(spec.width * 20 / 80)
    assert abs((rows[0] + rows[-1] + 1) / 2 - spec.height / 2) <= 1
    assert np.abs(pixels[:, 0]).max() < 0.02  # the border is ImageNet's mean: nothing to the net


def test_a_large_photo_is_shrunk_by_area() -> None:
    spec = load_card("dish-embed@1").input
    stripes = np.zeros((spec.height * 8, spec.width * 8, 3), np.uint8)
    stripes[:, ::2] = 255  # finer than the input: only their mean can be seen
    small = resized(spec, stripes)
    assert small.shape == (spec.height, spec.width, 3)
    assert np.abs(small.astype(int) - 127).max() <= 1


@pytest.mark.parametrize(
    "crop", [np.zeros((0, 5, 3), np.uint8), np.zeros((5, 5), np.uint8), np.zeros((5, 5, 3), np.float32)]
)
def test_what_is_no_crop_is_refused(shipped: OrtEmbedder, crop: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a crop must be uint8"):
        shipped.embed([crop])


def test_a_closed_embedder_says_so(tmp_path: Path) -> None:
    embedder = tiny(tmp_path)
    embedder.close()
    embedder.close()
    with pytest.raises(ValueError, match="tiny@1 is closed"):
        embedder.embed(CROPS)


@pytest.mark.parametrize("gain", [0.0, np.inf])
def test_numbers_that_are_no_vector_are_an_inference_error(tmp_path: Path, gain: float) -> None:
    card = write_card(tmp_path, write_net(tmp_path / "tiny.onnx", gain=gain))
    with pytest.raises(InferenceError, match="tiny@1: crop 0 gave a vector of length"):
        OrtEmbedder(load_card(str(card)), CPU)


@pytest.mark.parametrize(
    ("net", "changes", "told"),
    [
        ({"outputs": 5}, {}, "gives vectors .any, 4., the model gives vectors .*5.*; correct `dimensions`"),
        ({}, {"input": {"width": 64, "height": 32}}, "takes one float input .any, 3, 32, 64.*; correct `input`"),
    ],
)
def test_weights_that_do_not_fit_the_card(tmp_path: Path, net: dict, changes: dict, told: str) -> None:
    card = write_card(tmp_path, write_net(tmp_path / "tiny.onnx", **net), **changes)
    with pytest.raises(ModelMismatch, match=told):
        OrtEmbedder(load_card(str(card)), CPU)


def test_weights_that_are_gone(tmp_path: Path) -> None:
    net = write_net(tmp_path / "tiny.onnx")
    card = write_card(tmp_path, net)
    net.unlink()
    with pytest.raises(ModelNotFound, match=r"weights of tiny@1 are missing"):
        load_card(str(card))


def test_a_detector_is_no_embedder_and_an_embedder_no_detector() -> None:
    with pytest.raises(ModelMismatch, match=r"traynet@1: .*one that tells taught dishes apart.*models\.embedder\.card"):
        OrtEmbedder(load_card("traynet@1"), CPU)
    with pytest.raises(ModelMismatch, match=r"dish-embed@1: .*one that finds things in frames.*models\.detector\.card"):
        OrtDetector(load_card("dish-embed@1"), DetectorSettings(), Device("cpu"))


def test_an_embedder_cannot_be_promoted_to_detect(tmp_path: Path) -> None:
    with pytest.raises(ModelMismatch, match=r"models\.detector\.card"):
        Registry(tmp_path / "models").promote("dish-embed@1", force="try")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"dimensions": None}, "an embedder needs dimensions"),
        ({"classes": ["cup"]}, "an embedder has no classes"),
        ({"decoder": "yolox"}, "an embedder has no decoder"),
        ({"input": {"width": 32, "height": 32, "layout": "nhwc"}}, "must be laid out as nchw"),
        ({"task": "detect", "classes": ["cup"], "dimensions": None}, "a detector needs a decoder"),
        ({"task": "detect", "decoder": "yolox", "dimensions": None}, "a detector needs classes"),
        ({"task": "detect", "decoder": "yolox", "classes": ["cup"]}, "dimensions are an embedder's"),
        ({"task": "guess"}, "task"),
    ],
)
def test_cards_that_contradict_their_task(tmp_path: Path, changes: dict, told: str) -> None:
    card = write_card(tmp_path, write_net(tmp_path / "tiny.onnx"), **changes)
    with pytest.raises(ConfigError, match=told):
        load_card(str(card))


def test_the_shipped_card_keeps_its_promises() -> None:
    card = load_card("dish-embed@1")
    assert (card.task, card.decoder, card.classes) == ("embed", None, ())
    assert Path(card.file).stat().st_size <= 8e6
    assert card.lineage is not None
    assert card.lineage.parent_sha256 is not None
    assert "SqueezeNet" in card.notes
    assert ModelCard.model_validate(yaml.safe_load((SHIPPED / "dish-embed@1.yaml").read_text())).name == "dish-embed"

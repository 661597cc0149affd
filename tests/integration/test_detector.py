"""The ONNX detector on real small models: batches, checks at load, errors, threads."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from core.errors import InferenceError, ModelError, ModelMismatch, ModelNotFound
from core.records import Frame
from models.bare_onnx import find_model, guess_card
from models.card import load_card
from models.device import Device, count_gpus
from models.ort_detector import OrtDetector
from models.settings import DetectorSettings
from tests.onnx_graphs import card_for, put_yolox, write_card, write_graph, yolox_heads

CPU = DetectorSettings(device="cpu")


def frame(grey, index=0, width=64, height=64):
    return Frame("lane", index, float(index), 0.0, np.full((height, width, 3), grey, np.uint8))


def cup_and_plate(size=(64, 64)):
    heads = yolox_heads(size)
    put_yolox(heads, (4, 4, 20, 20), 0.9, (1.0, 0.0), size[0])
    put_yolox(heads, (30, 30, 60, 50), 0.8, (0.1, 0.9), size[0])
    return heads


def brightness_net(path, places="n"):
    """A cup whose score follows the brightness of the picture: 255 gives 0.91."""
    heads = put_yolox(yolox_heads(), (4, 4, 20, 20), 0.4, (1.0, 0.0))
    gain = np.zeros_like(heads)
    gain[0, np.flatnonzero(heads[0, :, 4]), 4] = 0.002
    return write_graph(path / "net.onnx", {"output": heads}, (places, 3, 64, 64), {"output": gain})


def test_one_frame_end_to_end(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    detector = OrtDetector(load_card(str(write_card(path))), CPU)
    (found,) = detector.detect([frame(10, 7, width=128, height=128)])
    assert (detector.name, found.model, found.frame_index) == ("testnet@1", "testnet@1", 7)
    assert found.labels == detector.labels == ("cup", "plate")
    np.testing.assert_allclose(found.boxes, [[8, 8, 40, 40], [60, 60, 120, 100]], atol=1e-3)
    np.testing.assert_allclose(found.scores, [0.9, 0.72], rtol=1e-5)
    np.testing.assert_allclose(found.class_probs, [[1, 0], [0.1, 0.9]], atol=1e-6)
    assert detector.device.kind == "cpu"


def test_wide_inputs_keep_rows_and_columns_apart(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate((96, 64))}, ("n", 3, 64, 96))
    detector = OrtDetector(card_for(path, input={"width": 96, "height": 64}), CPU)
    (found,) = detector.detect([frame(10, width=96, height=64)])
    np.testing.assert_allclose(found.boxes, [[4, 4, 20, 20], [30, 30, 60, 50]], atol=1e-3)


@pytest.mark.parametrize(("places", "batches"), [("n", True), (1, False), (4, True)])
def test_several_frames_get_their_own_answers(tmp_path, places, batches):
    detector = OrtDetector(card_for(brightness_net(tmp_path, places)), CPU)
    assert detector.batches == batches
    greys = [0, 50, 100, 150, 200, 250, 20, 40, 60, 80, 110, 120, 130, 140, 160, 170, 180, 190]
    for _ in range(2):  # the second time the buffers are there already
        found = detector.detect([frame(grey, i) for i, grey in enumerate(greys)])
        assert [one.frame_index for one in found] == list(range(len(greys)))
        np.testing.assert_allclose([one.scores[0] for one in found], [0.4 + 0.002 * g for g in greys], atol=1e-4)
    assert detector.detect([]) == []


def test_a_frame_in_a_batch_gets_the_same_answer_as_alone(tmp_path):
    detector = OrtDetector(card_for(brightness_net(tmp_path)), CPU)
    rng = np.random.default_rng(0)
    sizes = [(64, 64), (128, 40), (30, 90), (64, 64)]
    frames = [
        Frame("x", i, 0.0, 0.0, rng.integers(0, 255, (h, w, 3), dtype=np.uint8)) for i, (w, h) in enumerate(sizes)
    ]
    together = detector.detect(frames)
    alone = [detector.detect([one])[0] for one in frames]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.boxes, b.boxes, rtol=1e-5)
        np.testing.assert_allclose(a.scores, b.scores, rtol=1e-5)


def test_lanes_may_call_at_once(tmp_path):
    detector = OrtDetector(card_for(brightness_net(tmp_path)), CPU)
    with ThreadPoolExecutor(8) as pool:
        greys = [i * 2 for i in range(120)]
        found = list(pool.map(lambda grey: detector.detect([frame(grey)])[0], greys))
    np.testing.assert_allclose([one.scores[0] for one in found], [0.4 + 0.002 * g for g in greys], atol=1e-4)


def test_the_callers_arithmetic_stays_as_it_was(tmp_path):
    OrtDetector(card_for(brightness_net(tmp_path)), CPU).detect([frame(9)])
    assert np.nextafter(np.float32(0), np.float32(1)) * np.float32(4) > 0, "denormal numbers were switched off"


def test_the_other_decoders_run_from_real_graphs(tmp_path):
    transposed = np.zeros((1, 6, 84), np.float32)
    transposed[0, :, 5] = [32, 16, 20, 10, 0.9, 0.05]
    path = write_graph(tmp_path / "v8.onnx", {"output0": transposed})
    (found,) = OrtDetector(card_for(path, decoder="yolov8"), CPU).detect([frame(9)])
    np.testing.assert_allclose(found.boxes, [[22, 11, 42, 21]], atol=1e-4)

    boxes = np.array([[[0.5, 0.25, 0.5, 0.25], [0.5, 0.5, 1, 1]]], np.float32)
    logits = np.array([[[0, 5, 0], [0, 0, 5]]], np.float32)
    path = write_graph(tmp_path / "detr.onnx", {"logits": logits, "pred_boxes": boxes})
    card = card_for(path, decoder="detr", activation="softmax")
    frames = [frame(9), frame(200)]
    for found in OrtDetector(card, CPU).detect(frames):
        assert [found.labels[i] for i in found.class_ids] == ["plate"]
        np.testing.assert_allclose(found.boxes, [[16, 8, 48, 24]], atol=1e-4)

    outputs = {
        "a": np.array([[1, 2, 30, 40], [5, 5, 9, 9]], np.float32),
        "b": np.array([2, 1]),
        "c": np.array([0.9, 0.01], np.float32),
    }
    for shape, layout in (((3, 64, 64), "chw"), ((1, 3, 64, 64), "nchw")):
        path = write_graph(tmp_path / f"{layout}.onnx", outputs, shape)
        card = card_for(
            path, decoder="torchvision", class_offset=1, input={"width": 64, "height": 64, "layout": layout}
        )
        for found in OrtDetector(card, CPU).detect(frames):
            assert [found.labels[i] for i in found.class_ids] == ["plate"]
            np.testing.assert_allclose(found.boxes, [[1, 2, 30, 40]], atol=1e-4)


def test_half_precision_models_are_fed_half_floats(tmp_path):
    heads = cup_and_plate()
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT16, [1, 3, 64, 64])
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT16, heads.shape)
    value = onnx.numpy_helper.from_array(heads.astype(np.float16), "value")
    node = helper.make_node("Identity", ["value"], ["output"])
    graph = helper.make_graph([node], "half", [images], [output], [value])
    path = tmp_path / "half.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )
    (found,) = OrtDetector(card_for(path), CPU).detect([frame(3)])
    np.testing.assert_allclose(found.scores, [0.9, 0.72], rtol=1e-2)
    assert found.boxes.dtype == np.float32


# --- what must be refused, with a clear text


def test_more_or_fewer_classes_than_the_card_says(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    with pytest.raises(ModelMismatch, match="testnet@1: the model has 2 classes, its card names 3; correct `classes`"):
        OrtDetector(card_for(path, classes=["cup", "plate", "fork"]), CPU)


def test_another_input_size_than_the_card_says(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    message = r"input images is \(any, 3, 64, 64\), the card's 96x64 nchw means \(any, 3, 64, 96\)"
    with pytest.raises(ModelMismatch, match=message):
        OrtDetector(card_for(path, input={"width": 96, "height": 64}), CPU)


def test_another_decoder_than_the_output_needs(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    with pytest.raises(ModelMismatch, match="the model has 80 classes, its card names 2"):
        OrtDetector(card_for(path, decoder="yolov8"), CPU)
    with pytest.raises(ModelMismatch, match="the detr decoder reads 2 outputs and cannot tell them among output"):
        OrtDetector(card_for(path, decoder="detr"), CPU)


def test_an_output_that_is_not_there(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    with pytest.raises(ModelMismatch, match="no output 'heads' in the model"):
        OrtDetector(card_for(path, outputs={"boxes": "heads"}), CPU)


def test_a_truncated_file_behind_a_right_hash(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(
        ModelMismatch, match=r"net\.onnx: ONNX Runtime cannot load it .* truncated or not an ONNX model"
    ):
        OrtDetector(card_for(path), CPU)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x00" * 4096])
def test_files_that_are_no_models(tmp_path, content):
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelMismatch, match=r"net\.onnx: "):
        OrtDetector(card_for(path), CPU)


def test_a_file_that_changed_since_the_card_was_written(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    card = write_card(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelMismatch, match="SHA-256 is"):
        load_card(str(card))


def test_weights_that_went_away_after_the_card_was_read(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    card = card_for(path)
    path.unlink()
    with pytest.raises(ModelNotFound, match="no such model file"):
        OrtDetector(card, CPU)


def test_a_model_with_two_inputs(tmp_path):
    shape = [1, 3, 64, 64]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("left", "right")]
    output = helper.make_tensor_value_info("sum", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Add", ["left", "right"], ["sum"])], "two", inputs, [output])
    path = tmp_path / "two.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    )
    with pytest.raises(ModelMismatch, match="one image input is expected, the model has left, right"):
        OrtDetector(card_for(path), CPU)


def test_numbers_that_are_none_are_an_inference_error(tmp_path):
    heads = put_yolox(yolox_heads(), (4, 4, 20, 20), 0.9, (1.0, 0.0))
    heads[0, np.flatnonzero(heads[0, :, 4]), 0] = np.nan
    path = write_graph(tmp_path / "net.onnx", {"output": heads})
    with pytest.raises(InferenceError, match="gave boxes that are not numbers on frame 3"):
        OrtDetector(card_for(path), CPU).detect([frame(9, 3)])


def test_a_closed_detector_says_so(tmp_path):
    detector = OrtDetector(card_for(write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})), CPU)
    detector.close()
    detector.close()
    with pytest.raises(ValueError, match="testnet@1 is closed"):
        detector.detect([frame(9)])


# --- devices

NO_GPU = pytest.mark.skipif(count_gpus() > 0, reason="this machine has a GPU")


@NO_GPU
def test_without_a_gpu_auto_means_cpu_and_cuda_is_refused(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    assert OrtDetector(card_for(path), DetectorSettings(device="auto")).device.kind == "cpu"
    with pytest.raises(ModelError, match="device cuda: no such GPU"):
        OrtDetector(card_for(path), DetectorSettings(device="cuda"))


@NO_GPU
def test_a_gpu_that_the_runtime_cannot_use_is_given_up_or_refused(tmp_path, caplog, capfd):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    with caplog.at_level(logging.WARNING):
        detector = OrtDetector(card_for(path), CPU, Device("cuda"))
    assert detector.device.kind == "cpu"
    assert "there is a GPU, but it does not work (CUDA or cuDNN" in caplog.text
    with pytest.raises(ModelError, match=r"device cuda:0 was asked for and does not work \(CUDA or cuDNN"):
        OrtDetector(card_for(path), CPU, Device("cuda", 0, required=True))


# --- weights without a card


def test_bare_weights_are_read_by_their_layout(tmp_path):
    path = write_graph(tmp_path / "My Net.onnx", {"output": cup_and_plate()})
    card = guess_card(path)
    assert (card.decoder, card.classes, card.name) == ("yolox", ("class 0", "class 1"), "my_net")
    assert len(OrtDetector(card, CPU).detect([frame(9)])[0]) == 2
    path = write_graph(tmp_path / "v8.onnx", {"output": np.zeros((1, 84, 126), np.float32)}, ("n", 3, 64, 96))
    card = guess_card(path)
    assert (card.decoder, card.input.letterbox, len(card.classes), card.classes[39]) == (
        "yolov8",
        "center",
        80,
        "bottle",
    )


def test_names_in_the_graph_are_taken(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    model = onnx.load(path)
    entry = model.metadata_props.add()
    entry.key, entry.value = "names", "{0: 'tray', 1: 'soup'}"
    path.write_bytes(model.SerializeToString())
    assert guess_card(path).classes == ("tray", "soup")


def test_a_card_beside_the_weights_is_preferred(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"output": cup_and_plate()})
    write_card(path, name="carded")
    assert find_model(str(path)).name == "carded"
    assert find_model("net.onnx", tmp_path).name == "carded"


def test_bare_weights_of_an_unclear_layout_need_a_card(tmp_path):
    path = write_graph(tmp_path / "net.onnx", {"a": np.zeros((1, 5, 7), np.float32)})
    with pytest.raises(ModelMismatch, match="write a model card for it"):
        guess_card(path)
    with pytest.raises(ModelNotFound, match="no such model file"):
        find_model(str(tmp_path / "none.onnx"))


# --- real weights

ROOT = Path(__file__).resolve().parents[2]


def test_yolox_sees_the_bottles(shared_data):
    import av

    detector = OrtDetector(load_card(str(ROOT / "configs/cards/yolox_nano.yaml")), CPU)
    wanted = {0: 3, 300: 2, 600: 1, 750: 2, 900: 3}
    with av.open(str(shared_data / "videos/intel-bottle-detection.mp4")) as container:
        for index, picture in enumerate(container.decode(video=0)):
            if index in wanted:
                (found,) = detector.detect([Frame("x", index, 0.0, 0.0, picture.to_ndarray(format="rgb24"))])
                bottles = found.scores[found.class_ids == detector.labels.index("bottle")]
                assert (bottles > 0.88).sum() == wanted[index], (index, bottles)
                assert (bottles > 0.3).sum() == wanted[index], (index, bottles)


@pytest.fixture
def shared_data():
    import os

    folder = Path(os.environ.get("TRAYLANE_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "detectors/yolox_nano.onnx").is_file():
        pytest.skip(f"no shared data in {folder}; set TRAYLANE_DATA")
    return folder

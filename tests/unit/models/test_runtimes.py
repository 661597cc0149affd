"""Which library and which processor compute a model: choice, fallback, refusal; OpenVINO beside ONNX Runtime."""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from core.errors import ModelError, ModelMismatch, ModelNotFound
from core.records import Frame
from models import session as session_module
from models.device import Device
from models.openvino_session import OpenVinoSession
from models.ort_detector import OrtDetector
from models.session import CPU, CUDA, TENSORRT, Session
from models.settings import DetectorSettings
from tests.onnx_graphs import card_for, write_convnet

GPU = Device("cuda", 1)
NAMED = Device("cuda", 1, required=True)


@pytest.fixture
def net(tmp_path):
    return write_convnet(tmp_path / "net.onnx")


@pytest.fixture
def works(monkeypatch):
    """Let sessions open on what the test says works, and keep what they were asked for."""
    asked = []

    class FakeSession:
        def __init__(self, path, options, providers):
            names = [one if isinstance(one, str) else one[0] for one in providers]
            asked.append(providers)
            self._names = [name for name in names if name in working]

        def get_providers(self):
            return self._names

        def get_inputs(self):
            return []

        get_outputs = get_inputs

        def get_modelmeta(self):
            return type("Meta", (), {"custom_metadata_map": {}})

    working = {CPU}
    monkeypatch.setattr(session_module.onnxruntime, "InferenceSession", FakeSession)
    monkeypatch.setattr(session_module.onnxruntime, "preload_dlls", lambda: None)
    return working, asked


def test_tensorrt_is_taken_where_it_works_and_keeps_its_engines_by_weights(net, tmp_path, works):
    working, asked = works
    working |= {CUDA, TENSORRT}
    opened = Session(net, GPU, 1, tmp_path / "engines")
    assert (opened.device, opened.providers) == (GPU, [TENSORRT, CUDA, CPU])
    name, options = asked[0][0]
    assert (name, options["device_id"], options["trt_engine_cache_enable"]) == (TENSORRT, 1, True)
    (folder,) = (tmp_path / "engines").iterdir()
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(folder)
    other = write_convnet(tmp_path / "other.onnx", seed=4)
    Session(other, GPU, 1, tmp_path / "engines")
    assert len(list((tmp_path / "engines").iterdir())) == 2


def test_tensorrt_is_not_asked_for_unless_the_settings_say_so(net, works):
    working, asked = works
    working |= {CUDA, TENSORRT}
    assert Session(net, GPU, 1).providers == [CUDA, CPU]
    assert asked[0][0][1]["device_id"] == 1


def test_what_was_found_by_itself_and_fails_is_given_up_step_by_step(net, tmp_path, works, caplog):
    working, _ = works
    with caplog.at_level(logging.WARNING):
        assert Session(net, GPU, 1, tmp_path / "engines").device == Device("cpu")
    assert "TensorRT's libraries" in caplog.messages[0]
    assert "using CUDA alone" in caplog.messages[0]
    assert "CUDA or cuDNN" in caplog.messages[1]
    assert "using the CPU" in caplog.messages[1]
    working.add(CUDA)
    assert Session(net, GPU, 1, tmp_path / "engines").device == GPU


def test_what_was_named_and_fails_is_refused(net, tmp_path, works):
    working, _ = works
    with pytest.raises(ModelError, match=r"device cuda:1 was asked for and does not work .*use device: auto or cpu"):
        Session(net, NAMED, 1)
    working.add(CUDA)
    with pytest.raises(ModelError, match=r"TensorRT was asked for and does not work \(.*use tensorrt: false"):
        Session(net, NAMED, 1, tmp_path / "engines")


def test_engines_that_cannot_be_kept_are_an_error_and_the_cpu_needs_none(net, tmp_path, works):
    (tmp_path / "engines").write_text("a file")
    with pytest.raises(ModelError, match=r"TensorRT engines cannot be kept there: .*models\.detector\.engines"):
        Session(net, GPU, 1, tmp_path / "engines")
    assert Session(net, Device("cpu"), 1, tmp_path / "engines").providers == [CPU]


def detectors(net, **changes):
    card = card_for(net, input={"width": 96, "height": 64}, classes=["red", "green", "blue"])
    for runtime in ("onnx", "openvino"):
        yield OrtDetector(card, DetectorSettings(device="cpu", runtime=runtime, min_score=0.05, **changes))


def frames(count):
    rng = np.random.default_rng(8)
    return [Frame("x", i, 0.0, 0.0, rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)) for i in range(count)]


def test_openvino_finds_what_onnx_runtime_finds(net):
    pytest.importorskip("openvino", reason="OpenVINO is an extra; pip install 'traylane[openvino]'")
    ours, theirs = detectors(net)
    assert theirs.device == Device("cpu", required=True)
    assert [spec.shape for spec in theirs._session.inputs] == [(None, 3, 64, 96)]
    for count in (1, 3):  # any batch
        for one, other in zip(ours.detect(frames(count)), theirs.detect(frames(count)), strict=True):
            assert len(one) > 3
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            assert (one.class_ids == other.class_ids).all()


def test_openvino_answers_several_threads_each_its_own(net):
    pytest.importorskip("openvino", reason="OpenVINO is an extra; pip install 'traylane[openvino]'")
    ours, theirs = detectors(net)
    shown = frames(24)
    wanted = [one.scores for one in ours.detect(shown)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda frame: theirs.detect([frame])[0].scores, shown))
    for one, other in zip(wanted, found, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_openvino_that_is_not_installed_or_cannot_read_the_file_says_so(net, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "openvino", None)
        with pytest.raises(ModelError, match=r"OpenVINO is not installed; pip install 'traylane\[openvino\]'"):
            OpenVinoSession(net, Device("cpu"), 1)
    pytest.importorskip("openvino", reason="OpenVINO is an extra; pip install 'traylane[openvino]'")
    with pytest.raises(ModelError, match="device cuda:1: runtime openvino runs on the CPU"):
        OpenVinoSession(net, NAMED, 1)
    with pytest.raises(ModelNotFound, match="no such model file"):
        OpenVinoSession(tmp_path / "gone.onnx", Device("cpu"), 1)
    net.write_bytes(net.read_bytes()[:700])
    with pytest.raises(ModelMismatch, match=r"net\.onnx: OpenVINO cannot load it \(.+\)"):
        OpenVinoSession(net, Device("cpu"), 1)

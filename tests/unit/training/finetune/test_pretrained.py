"""Weights come from a server, a file or a card; what is broken, absent or of another net is said so."""

import contextlib
import hashlib
import io
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from core.errors import ConfigError, ModelMismatch, ModelNotFound
from tests.shared_data import DATA
from training.checkpoint import save_checkpoint
from training.finetune import pretrained
from training.finetune.detectors import DetectorShape, build, make_detector
from training.finetune.downloads import TRUNKS, Published, fetch, published
from training.finetune.pretrained import (
    Weights,
    read_card,
    read_weights,
    start_from,
    start_from_published,
    start_trunk,
    unfold_norms,
)
from training.train_traynet import Progress
from training.traynet import TrayNet, TrayNetShape

SMALL = DetectorShape("traynet", ("soup", "tea"), (64, 64), widths=(8, 8, 8, 8, 8), depths=(0, 0, 0, 0), neck=8)
CONTENT = bytes(range(256)) * 1000
START = hashlib.sha256(CONTENT).hexdigest()[:8]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@contextlib.contextmanager
def server(answer):
    """Serve `answer(handler)` for each GET on this machine; yields the address and the paths asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            answer(self)

        def log_message(self, *args):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{httpd.server_address[1]}", asked
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def gives(content, status=200, length=None):
    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def test_a_file_is_downloaded_once(tmp_path):
    with server(gives(CONTENT)) as (address, asked):
        file = Published(f"{address}/models/net-{START}.pth")
        place = fetch(file, tmp_path / "cache")
        assert place == tmp_path / "cache" / f"net-{START}.pth"
        assert place.read_bytes() == CONTENT
        assert fetch(file, tmp_path / "cache") == place
        assert len(asked) == 1
        place.write_bytes(b"half")  # a damaged file in the cache is replaced
        assert fetch(file, tmp_path / "cache").read_bytes() == CONTENT
        assert len(asked) == 2
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [place.name]


@pytest.mark.parametrize(
    "answer", [gives(b"<html>log in to the hotel's network</html>"), gives(CONTENT[:500])], ids=["page", "part"]
)
def test_what_has_another_hash_is_refused_and_not_kept(tmp_path, answer):
    with server(answer) as (address, _), pytest.raises(ModelMismatch, match=START):
        fetch(Published(f"{address}/net-{START}.pth"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_falls_silent_is_left_in_time(tmp_path):
    done = threading.Event()

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(CONTENT)))
        handler.end_headers()
        handler.wfile.write(CONTENT[:100])
        handler.wfile.flush()
        done.wait(10)

    with server(answer) as (address, _):
        try:
            with pytest.raises(ModelNotFound, match="timed out"):
                fetch(Published(f"{address}/net-{START}.pth"), tmp_path, timeout_s=0.2)
        finally:
            done.set()
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_and_an_absent_server_tell_where_to_put_the_file(tmp_path):
    with server(gives(b"", status=403)) as (address, _):
        file = Published(f"{address}/net-{START}.pth")
        with pytest.raises(ModelNotFound, match="Forbidden") as refused:
            fetch(file, tmp_path)
    assert str(tmp_path / f"net-{START}.pth") in str(refused.value)
    with pytest.raises(ModelNotFound, match=r"offline, put this file at .*net-.*begins with " + START):
        fetch(file, tmp_path, timeout_s=2)


@pytest.mark.parametrize(
    ("url", "word"), [("http://127.0.0.1/net.pth", "no hash"), (f"file:///tmp/net-{START}.pth", "http")]
)
def test_only_what_can_be_checked_is_downloaded(tmp_path, url, word):
    with pytest.raises(ConfigError, match=word):
        fetch(Published(url), tmp_path)


def test_torchvision_publishes_weights_of_every_net_but_ours():
    for arch in TRUNKS:
        for trunk in (False, True):
            assert len(published(arch, trunk).sha256_start) == 8
    with pytest.raises(ConfigError, match="traynet@1"):
        published("traynet")


def bytes_of(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def test_published_weights_of_91_classes_start_a_net_of_ours(tmp_path, monkeypatch):
    torch.manual_seed(1)
    coco = make_detector("ssdlite320_mobilenet_v3_large", tuple(map(str, range(90))), (64, 64))
    content = bytes_of(coco.net.state_dict())
    start = hashlib.sha256(content).hexdigest()[:8]
    ours = make_detector("ssdlite320_mobilenet_v3_large", ("soup", "tea"), (64, 64))
    with server(gives(content)) as (address, _):
        monkeypatch.setattr(
            pretrained, "published", lambda arch, trunk: Published(f"{address}/{arch}_coco-{start}.pth")
        )
        report = start_from_published(ours, tmp_path)
    assert report.whole
    theirs = coco.net.state_dict()
    for name, tensor in ours.net.state_dict().items():
        # Only the class layers, net.head.classification_head.module_list.<level>.1, are new.
        if "classification_head" in name and name.split(".")[4] == "1":
            assert tensor.shape != theirs[name].shape
        else:
            assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize("wrapped", ["bare", "state_dict", "model", "module", "detector"])
def test_state_dicts_are_found_wherever_they_are_kept(tmp_path, wrapped):
    source = build(SMALL)
    state = source.net.state_dict()
    content = {
        "bare": state,
        "state_dict": {"state_dict": state, "epoch": 3},
        "model": {"model": state, "optimizer": {}},
        "module": {"state_dict": {f"module.net.{name}": value for name, value in state.items()}},
        "detector": {"config": source.shape_config(), "weights": source.state_dict()},
    }[wrapped]
    torch.save(content, tmp_path / "net.pth")
    weights = read_weights(tmp_path / "net.pth")
    assert weights.labels == (("soup", "tea") if wrapped == "detector" else None)
    assert weights.origin.startswith("net.pth (sha256 ")
    target = build(SMALL)
    assert start_from(target, weights).whole
    # The same classes, or as many and unnamed: the whole head is kept.
    assert all(torch.equal(a, b) for a, b in zip(target.parameters(), source.parameters(), strict=True))


def test_a_checkpoint_of_the_edge_script_starts_a_net_of_other_dishes(tmp_path):
    shape = TrayNetShape(3, (8, 8, 8, 8, 8), (0, 0, 0, 0), 8)
    net = TrayNet(shape)
    save_checkpoint(tmp_path / "best.pt", net, net, None, Progress(), ("a", "b", "c"))
    weights = read_weights(tmp_path / "best.pt")
    assert weights.labels == ("a", "b", "c")
    target = build(SMALL)
    report = start_from(target, weights)
    assert report.whole
    assert torch.equal(target.net.heads[0].box.weight, net.heads[0].box.weight)
    assert target.net.heads[0].class_scores.weight.shape[0] == 2


def test_the_same_number_of_other_dishes_gets_new_class_layers(tmp_path):
    source = build(SMALL)
    weights = Weights(source.net.state_dict(), ("cake", "tea"), "cake shop")
    target = build(SMALL)
    start_from(target, weights)
    assert torch.equal(target.net.stem[0].weight, source.net.stem[0].weight)
    assert not torch.equal(target.net.heads[0].class_scores.weight, source.net.heads[0].class_scores.weight)


def test_weights_of_another_net_are_refused_by_name(tmp_path):
    target = build(SMALL)
    before = target.net.heads[0].class_scores.weight.clone()
    standard = make_detector("traynet", ("soup", "tea"), (64, 64))
    with pytest.raises(ModelMismatch, match=r"elsewhere does not fit traynet: .*stem\.0\.weight"):
        start_from(target, Weights(standard.net.state_dict(), None, "elsewhere"))
    assert torch.equal(target.net.heads[0].class_scores.weight, before)


class Trap:
    """Runs code when unpickled."""

    def __reduce__(self):
        return (os.mkdir, ("trap-was-sprung",))


@pytest.mark.parametrize("content", [b"not weights", b"", None], ids=["text", "empty", "code"])
def test_files_that_are_no_weights_are_refused_and_run_no_code(tmp_path, content, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.pth"
    path.write_bytes(bytes_of({"a": Trap()}) if content is None else content)
    with pytest.raises(ModelMismatch, match=r"net\.pth"):
        read_weights(path)
    assert not (tmp_path / "trap-was-sprung").exists()


def test_a_file_without_tensors_and_an_absent_one_are_told_apart(tmp_path):
    torch.save({"epoch": 3}, tmp_path / "net.pth")
    with pytest.raises(ModelMismatch, match="no state dict"):
        read_weights(tmp_path / "net.pth")
    with pytest.raises(ModelNotFound, match="no such file"):
        read_weights(tmp_path / "absent.pth")


def test_the_shipped_card_starts_a_net_that_says_the_same():
    weights = read_card("traynet@1")
    detector = make_detector("traynet", weights.labels, (320, 192)).eval()
    assert start_from(detector, weights).whole
    pixels = torch.rand(1, 3, 192, 320, generator=torch.Generator().manual_seed(2))
    session = ort.InferenceSession(Path("models/cards/traynet@1.onnx"), providers=["CPUExecutionProvider"])
    wanted = session.run(None, {"images": (pixels * 255).numpy()})[0]

    def said():
        with torch.no_grad():
            raw = detector.eval().net(pixels)
        return np.concatenate([raw[..., :4].numpy(), raw[..., 4:].sigmoid().numpy()], axis=-1)

    assert np.abs(said() - wanted).max() < 1e-4
    unfold_norms(detector, lambda: detector.predict(list(pixels)))
    assert np.abs(said() - wanted).max() < 1e-4
    # Now the norms normalise: in training, where they use the batch, the net says the same about these pictures.
    with torch.no_grad():
        raw = detector.train().net(pixels)
    assert np.abs(raw[..., 4:].sigmoid().numpy() - wanted[..., 4:]).max() < 1e-3


def test_an_onnx_of_another_net_is_refused():
    other = DATA / "detectors" / "nanodet_m.onnx"
    if not other.is_file():
        pytest.skip("TRAYLANE_DATA has no detectors")
    with pytest.raises(ModelMismatch, match="not an export of traynet"):
        read_weights(other)


def test_a_classifiers_features_become_the_trunk():
    from torchvision.models import mobilenet_v3_large

    source = mobilenet_v3_large(weights=None).state_dict()
    detector = make_detector("fasterrcnn_mobilenet_v3_large_320_fpn", ("soup",), (64, 64), norm="frozen")
    report = start_trunk(detector, Weights(source, None, "imagenet"))
    assert (report.missing, report.mismatched) == ((), ())
    assert all(name.startswith("classifier.") for name in report.unexpected)
    body = detector.net.backbone.body.state_dict()
    assert torch.equal(body["0.0.weight"], source["features.0.0.weight"])
    assert torch.equal(body["16.1.running_var"], source["features.16.1.running_var"])
    assert not isinstance(detector.net.backbone.body["0"][1], nn.BatchNorm2d)

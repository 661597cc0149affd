"""Shipped weights read back for training say what the card's model says, in inference and nearly so in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from core.errors import ModelMismatch, ModelNotFound
from models.card import load_card
from streams.synthetic.lane import SyntheticLane
from tests.onnx_graphs import write_card, write_convnet
from training.augment import collate, plain_sample
from training.card_weights import load_card_weights
from training.finetune.pretrained import read_card
from training.synthetic_set import LABELS, Pictures
from training.traynet import ExportNet, TrayNet, TrayNetShape

SIZE = (320, 192)


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """Twelve frames of a lane, three seconds apart."""
    lane = SyntheticLane(100_003, preset="easy", width=320, height=180, fps=1 / 3)
    frames = [image.copy() for image, _ in zip((image for image, _ in lane), range(12), strict=False)]
    nothing = [np.zeros((0, 4), np.float32)] * 12
    return Pictures(
        [np.stack(frames)],
        np.stack([np.zeros(12, np.int64), np.arange(12)], axis=1),
        nothing,
        [np.zeros(0, np.int64)] * 12,
        [np.zeros(0, np.float32)] * 12,
        ["easy"] * 12,
        np.zeros(12, np.int64),
        LABELS,
        "0" * 64,
    )


@pytest.fixture(scope="module")
def loaded(pictures: Pictures) -> TrayNet:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = TrayNet(TrayNetShape(classes=len(LABELS)))
    load_card_weights(net, LABELS, "traynet@1", SIZE, pictures)
    return net


def images_of(pictures: Pictures) -> torch.Tensor:
    return collate([plain_sample(pictures, i, SIZE) for i in range(0, 12, 2)])[0]


@torch.no_grad()
def test_in_inference_it_says_what_the_onnx_says(loaded: TrayNet, pictures: Pictures) -> None:
    images = images_of(pictures)
    session = ort.InferenceSession(load_card("traynet@1").file, providers=["CPUExecutionProvider"])
    shipped = session.run(None, {session.get_inputs()[0].name: images.numpy() * 255})[0]
    mine = ExportNet(loaded).eval()(images).numpy()
    assert np.abs(shipped[..., 4:] - mine[..., 4:]).max() <= 1e-4
    assert np.abs(shipped - mine).max() <= 1e-3  # boxes are offsets and logs of sizes, not shares
    assert shipped[..., 4].max() > 0.5  # there is something to agree on


@torch.no_grad()
def test_in_training_mode_batches_change_it_little(loaded: TrayNet, pictures: Pictures) -> None:
    images = images_of(pictures)
    state = {name: value.clone() for name, value in loaded.state_dict().items()}
    calm = loaded.eval()(images)[..., 4].sigmoid()
    lively = loaded.train()(images)[..., 4].sigmoid()
    loaded.load_state_dict(state)
    folded = TrayNet(loaded.shape)  # without statistics of its own the norms change everything at once
    folded.load_state_dict(dict(read_card("traynet@1").state), strict=False)
    spoilt = folded.train()(images)[..., 4].sigmoid()
    sure = calm > 0.3
    assert sure.any()
    assert (calm - lively).abs()[sure].mean() < 0.15
    assert (calm - lively).abs()[sure].mean() < 0.5 * (calm - spoilt).abs()[sure].mean()


def test_other_labels_are_refused_by_name(pictures: Pictures) -> None:
    net = TrayNet(TrayNetShape(classes=len(LABELS)))
    renamed = (*LABELS[:-2], "moon cake", LABELS[-1])
    with pytest.raises(ModelMismatch, match=rf"traynet@1: its classes differ .*{LABELS[-2]}, moon cake|moon cake, "):
        load_card_weights(net, renamed, "traynet@1", SIZE, pictures)
    with pytest.raises(ModelMismatch, match=r"its classes differ from the pictures' \(order\)"):
        load_card_weights(net, LABELS[::-1], "traynet@1", SIZE, pictures)


def test_another_net_is_refused(tmp_path: Path, pictures: Pictures) -> None:
    small = TrayNet(TrayNetShape(classes=len(LABELS), widths=(8, 8, 8, 8, 8), depths=(0, 0, 0, 0), neck=8))
    with pytest.raises(ModelMismatch, match=r"traynet@1: not an export of this TrayNet .*start from a checkpoint"):
        load_card_weights(small, LABELS, "traynet@1", SIZE, pictures)
    deep = TrayNet(TrayNetShape(classes=len(LABELS), depths=(4, 4, 4, 4)))
    with pytest.raises(ModelMismatch, match="traynet@1: not an export of this TrayNet: it lacks "):
        load_card_weights(deep, LABELS, "traynet@1", SIZE, pictures)
    card = write_card(
        write_convnet(tmp_path / "other.onnx"), classes=["a", "b", "c"], input={"width": 96, "height": 64}
    )
    with pytest.raises(ModelMismatch, match=r"not an export of traynet; start from its \.pt checkpoint"):
        load_card_weights(TrayNet(TrayNetShape(classes=3)), ("a", "b", "c"), str(card), SIZE, pictures)
    with pytest.raises(ModelNotFound, match="no shipped model of that name"):
        load_card_weights(small, LABELS, "traynet@77", SIZE, pictures)

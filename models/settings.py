"""Settings of the models, parts of the site's configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from core.settings import Settings


class DetectorSettings(Settings):
    """Which model runs, where, and what it may report."""

    card: str = Field(
        default="traynet@1",
        min_length=1,
        description="Model as name@version, a path to a card, @current (what is promoted), or @CHANNEL",
    )
    runtime: Literal["onnx", "openvino"] = Field(
        default="onnx", description="What computes the model: onnx, or openvino on Intel CPUs (an extra)"
    )
    precision: Literal["auto", "fp32", "int8"] = Field(
        default="fp32",
        description="Which weights of the card: fp32, int8, or auto (int8 on a CPU, if there)",
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$",
        description="auto (a GPU if one works), cpu, cuda or cuda:N",
    )
    tensorrt: bool = Field(
        default=False, description="On a GPU: build a TensorRT engine, at the first start for minutes; faster after it"
    )
    engines: Path = Field(
        default=Path("var/engines"), description="Folder in which TensorRT engines are kept from start to start"
    )
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of one inference")
    min_score: float = Field(default=0.1, ge=0.001, lt=1.0, description="Detections below this score are not reported")
    nms_iou: float = Field(
        default=0.5, gt=0.0, le=1.0, description="Of two boxes of one label that overlap more, one stays"
    )
    size: tuple[int, int] | None = Field(
        default=None,
        description="Width and height that frames are fitted into, where the model takes any size; the card's if unset",
    )
    items_only: bool = Field(
        default=False,
        description="Report things as @item whatever their class: for a menu that the model does not know",
    )
    max_detections: int = Field(default=300, ge=1, le=2000, description="Most detections of one frame, best first")


class EmbedderSettings(Settings):
    """Which model tells taught dishes apart, and where it runs."""

    card: str = Field(
        default="dish-embed@1", min_length=1, description="Model as name@version, or a path to a card of task embed"
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d{1,2})?)$",
        description="auto (a GPU if one works), cpu, cuda or cuda:N",
    )
    threads: int = Field(default=1, ge=1, le=64, description="CPU threads of one inference")

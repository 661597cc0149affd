"""One ONNX Runtime session: opened with care, checked for what it really got, and its errors translated."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from core.errors import InferenceError, ModelError, ModelMismatch, ModelNotFound
from models.device import Device

LOG = logging.getLogger(__name__)

#: ONNX Runtime's exceptions have no parent of their own.
ORT_ERRORS = (
    ort_errors.EPFail,
    ort_errors.EngineError,
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoModel,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
)
_ERRORS_ONLY = 3


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, shape and element type of a graph's input or output; a dimension that may vary is None."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


class Session:
    """A loaded graph. Several threads may run it at once.

    Args:
        path: the .onnx file.
        device: where it shall run.
        threads: CPU threads of one run.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: the file is not a model that the runtime can read.
        ModelError: the device that the user named does not run it.
    """

    def __init__(self, path: Path, device: Device, threads: int) -> None:
        self._path = path
        self.device, self._session = _open_on(path, device, threads)
        self.inputs = [_spec(node) for node in self._session.get_inputs()]
        self.outputs = [_spec(node) for node in self._session.get_outputs()]
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the named outputs.

        Raises:
            InferenceError: the runtime failed.
        """
        try:
            results: list[NDArray[np.float32]] = self._session.run(outputs, feed)
        except ORT_ERRORS as err:
            raise InferenceError(f"{self._path}: inference failed: {_first_line(err)}") from err
        return results


def _open_on(path: Path, device: Device, threads: int) -> tuple[Device, onnxruntime.InferenceSession]:
    """Open the model where it was wished; a GPU that "auto" found and that does not work is given up for the CPU."""
    if device.kind == "cpu":
        return device, _open(path, device, threads)
    reason, cause = "CUDA or cuDNN, as this onnxruntime needs them, are missing", None
    try:
        session = _open(path, device, threads)
        if "CUDAExecutionProvider" in session.get_providers():
            return device, session
    except ModelMismatch as err:
        reason, cause = str(err), err
    if device.required:
        text = f"{path}: device {device} was asked for and does not work ({reason}); use device: auto or cpu"
        raise ModelError(text) from cause
    LOG.warning("%s: there is a GPU, but it does not work (%s); using the CPU", path, reason)
    return Device("cpu"), _open(path, Device("cpu"), threads)


def _open(path: Path, device: Device, threads: int) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise ModelNotFound(f"{path}: no such model file")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # A waiting thread must not burn the core that the camera and the tracker need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Not "session.set_denormal_as_zero": it changes the calling thread for good, so numpy's results change with it.
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
    except ORT_ERRORS as err:
        raise ModelMismatch(
            f"{path}: ONNX Runtime cannot load it ({_first_line(err)}); the file is truncated or not an ONNX model"
        ) from err


def _providers(device: Device) -> list[Any]:
    if device.kind == "cpu":
        return ["CPUExecutionProvider"]
    # CUDA's libraries may lie in pip packages, where the loader does not look by itself.
    onnxruntime.preload_dlls()
    cuda = {"device_id": device.index, "cudnn_conv_algo_search": "HEURISTIC", "do_copy_in_default_stream": True}
    return [("CUDAExecutionProvider", cuda), "CPUExecutionProvider"]


def _spec(node: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape or ())
    return TensorSpec(node.name, shape, node.type.removeprefix("tensor(").removesuffix(")"))


def _first_line(err: Exception) -> str:
    return str(err).strip().partition("\n")[0][:200]

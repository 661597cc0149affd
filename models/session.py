"""One ONNX Runtime session: opened with care, checked for what it really got, and its errors translated."""

from __future__ import annotations

import ctypes
import importlib.util
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
from core.files import sha256_of
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
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


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
        engines: folder for TensorRT engines; on a GPU, TensorRT computes what it can. None: CUDA alone.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: the file is not a model that the runtime can read.
        ModelError: the device that the user named does not run it.
    """

    def __init__(self, path: Path, device: Device, threads: int, engines: Path | None = None) -> None:
        self._path = path
        self.device, self._session = _open_on(path, device, threads, engines)
        self.inputs = [_spec(node) for node in self._session.get_inputs()]
        self.outputs = [_spec(node) for node in self._session.get_outputs()]
        self.metadata: Mapping[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    @property
    def providers(self) -> list[str]:
        """What really computes, first choice first: ONNX Runtime's names of its execution providers."""
        names: list[str] = self._session.get_providers()
        return names

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


def _open_on(
    path: Path, device: Device, threads: int, engines: Path | None
) -> tuple[Device, onnxruntime.InferenceSession]:
    """Open the model where it was wished.

    What "auto" found and what does not work is given up for the next best: TensorRT, CUDA, CPU.
    """
    if device.kind == "cpu":
        return device, _open(path, device, threads, [CPU])
    wishes = [TENSORRT, CUDA] if engines is not None else [CUDA]
    for wish in wishes:
        reason, cause = _MISSING[wish], None
        try:
            session = _open(path, device, threads, provider_options(wish, device, path, engines))
            # The package's own list says what it was built with; only an open session says what works here.
            if wish in session.get_providers():
                return device, session
        except ModelMismatch as err:
            reason, cause = str(err), err
        what = "TensorRT" if wish == TENSORRT else f"device {device}"
        if device.required:
            remedy = "tensorrt: false" if wish == TENSORRT else "device: auto or cpu"
            raise ModelError(f"{path}: {what} was asked for and does not work ({reason}); use {remedy}") from cause
        LOG.warning("%s: there is a GPU, but it does not work (%s); using %s", path, reason, _NEXT[wish])
    return Device("cpu"), _open(path, Device("cpu"), threads, [CPU])


_MISSING = {
    TENSORRT: "TensorRT's libraries, as this onnxruntime needs them, are missing: pip install tensorrt",
    CUDA: "CUDA or cuDNN, as this onnxruntime needs them, are missing",
}
_NEXT = {TENSORRT: "CUDA alone", CUDA: "the CPU"}


def _open(path: Path, device: Device, threads: int, providers: list[Any]) -> onnxruntime.InferenceSession:
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
    if device.kind != "cpu":
        # CUDA's libraries may lie in pip packages, where the loader does not look by itself.
        onnxruntime.preload_dlls()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except ORT_ERRORS as err:
        raise ModelMismatch(
            f"{path}: ONNX Runtime cannot load it ({_first_line(err)}); the file is truncated or not an ONNX model"
        ) from err


def provider_options(wish: str, device: Device, path: Path, engines: Path | None) -> list[Any]:
    """Return what ONNX Runtime is asked for on a GPU, first choice first; makes the engines' folder.

    Args:
        wish: TENSORRT or CUDA; what it cannot compute goes to the next one.
        device: the GPU.
        path: the weights; their engines get a folder of their own.
        engines: see `Session`.

    Raises:
        ModelError: the engines' folder cannot be made.
    """
    cuda = {"device_id": device.index, "cudnn_conv_algo_search": "HEURISTIC", "do_copy_in_default_stream": True}
    fallbacks = [(CUDA, cuda), CPU]
    if wish != TENSORRT or engines is None:
        return fallbacks
    _preload_tensorrt()
    folder = engines.absolute() / sha256_of(path)[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise ModelError(
            f"{folder}: TensorRT engines cannot be kept there: {err.strerror}; correct models.detector.engines"
        ) from err
    tensorrt = {
        "device_id": device.index,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
    }
    return [(TENSORRT, tensorrt), *fallbacks]


def _preload_tensorrt() -> None:
    """Load TensorRT's libraries where they lie in a pip package; ONNX Runtime finds loaded ones by their name."""
    package = importlib.util.find_spec("tensorrt_libs")
    for folder in (package.submodule_search_locations or []) if package is not None else []:
        for name in ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"):
            if (Path(folder) / name).is_file():
                ctypes.CDLL(str(Path(folder) / name), mode=ctypes.RTLD_GLOBAL)


def _spec(node: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) and size > 0 else None for size in node.shape or ())
    return TensorSpec(node.name, shape, node.type.removeprefix("tensor(").removesuffix(")"))


def _first_line(err: Exception) -> str:
    return str(err).strip().partition("\n")[0][:200]

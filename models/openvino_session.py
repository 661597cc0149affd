"""The same small face as `session.Session`, computed by OpenVINO: for Intel CPUs, an extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.errors import InferenceError, ModelError, ModelMismatch, ModelNotFound
from models.device import Device
from models.session import TensorSpec

#: OpenVINO's element types as ONNX Runtime calls them.
_DTYPES = {"f32": "float", "f16": "float16", "f64": "double", "i64": "int64", "i32": "int32", "u8": "uint8"}


class OpenVinoSession:
    """A loaded graph. Several threads may run it at once: each takes a request of its own.

    Args:
        path: the .onnx file.
        device: the CPU; a GPU that "auto" found is left alone.
        threads: CPU threads of one run.

    Raises:
        ModelNotFound: no such file.
        ModelMismatch: the file is not a model that the runtime can read.
        ModelError: OpenVINO is not installed, or a GPU was named, which it does not run on here.
    """

    def __init__(self, path: Path, device: Device, threads: int) -> None:
        try:
            import openvino
        except ModuleNotFoundError as err:
            raise ModelError(
                "runtime: openvino is set, but OpenVINO is not installed; pip install 'traylane[openvino]', or use "
                "runtime: onnx"
            ) from err
        if device.kind != "cpu" and device.required:
            raise ModelError(f"device {device}: runtime openvino runs on the CPU; use device: cpu, or runtime: onnx")
        if not path.is_file():
            raise ModelNotFound(f"{path}: no such model file")
        self._path, self.device = path, Device("cpu", required=device.required)
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Where the CPU has bfloat16, OpenVINO would take it without being asked: other scores on other machines.
            "INFERENCE_PRECISION_HINT": "f32",
            # Lanes, decoder and tracker share the cores: nobody owns one.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(str(path)), "CPU", options)
        except RuntimeError as err:
            raise ModelMismatch(
                f"{path}: OpenVINO cannot load it ({_first_line(err)}); the file is damaged, or try runtime: onnx"
            ) from err
        self.inputs = [_spec(port) for port in self._model.inputs]
        self.outputs = [_spec(port) for port in self._model.outputs]
        self._idle: list[Any] = []

    def run(self, outputs: Sequence[str], feed: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """Return the named outputs.

        Raises:
            InferenceError: the runtime failed.
        """
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._model.create_infer_request()
        try:
            request.infer(dict(feed))
            # A copy: the request's memory is written again by its next run.
            results = [np.array(request.get_tensor(name).data) for name in outputs]
        except RuntimeError as err:
            raise InferenceError(f"{self._path}: inference failed: {_first_line(err)}") from err
        self._idle.append(request)
        return results


def _spec(port: Any) -> TensorSpec:
    shape = tuple(None if size.is_dynamic else int(size.get_length()) for size in port.get_partial_shape())
    dtype = port.get_element_type().get_type_name()
    return TensorSpec(port.get_any_name(), shape, _DTYPES.get(dtype, dtype))


def _first_line(err: Exception) -> str:
    lines = [line.strip() for line in str(err).splitlines() if line.strip()]
    # OpenVINO's first lines are places in its own source.
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    return (told or lines or [""])[0][:200]

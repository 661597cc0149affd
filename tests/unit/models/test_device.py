"""Which processor runs the model, without trusting what the runtime claims to support."""

import pytest

from core.errors import ModelError
from models.device import Device, count_gpus, find_device


def test_auto_takes_a_gpu_only_where_there_is_one():
    assert str(find_device("auto", gpus=0)) == "cpu"
    assert str(find_device("auto", gpus=2)) == "cuda:0"
    assert not find_device("auto", gpus=2).required


def test_cpu_is_taken_even_beside_a_gpu():
    assert find_device("cpu", gpus=1).kind == "cpu"


def test_named_gpus_must_exist():
    assert find_device("cuda", gpus=1) == Device("cuda", 0, required=True)
    assert find_device("cuda:1", gpus=2) == Device("cuda", 1, required=True)
    with pytest.raises(
        ModelError, match=r"device cuda: no such GPU, the CUDA driver finds none .* use device: auto or cpu"
    ):
        find_device("cuda", gpus=0)
    with pytest.raises(ModelError, match="device cuda:2: no such GPU, the machine has 2"):
        find_device("cuda:2", gpus=2)


def test_unknown_device_is_refused():
    with pytest.raises(ModelError, match="device 'tpu' is not known"):
        find_device("tpu", gpus=0)


def test_a_missing_driver_means_no_gpu():
    assert count_gpus("libnosuchdriver.so.1") == 0

"""The edge image starts without torch, and without the folders that it leaves out."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PROBE = """
import importlib, importlib.abc, pathlib, sys

LEFT_OUT = {"torch", "torchvision", "onnx", "onnxscript", "training", "replay", "bench", "tests"}

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in LEFT_OUT:
            raise ModuleNotFoundError(f"{name} is not on the edge image", name=name)
        return None

sys.meta_path.insert(0, Refuse())
packages = ["core", "streams", "models", "tracker", "store", "checkout", "fleet", "app"]
modules = []
for package in packages:
    for path in sorted(pathlib.Path(package).rglob("*.py")):
        if "migrations/versions" in path.as_posix() or path.name in {"env.py", "__main__.py"}:
            continue
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        importlib.import_module(name)
        modules.append(name)
print(len(modules), "modules")
from app.cli import main
assert main(["replay", "clip.mp4", "--out", "x"]) == 1
"""


def test_every_edge_module_imports_without_torch_training_or_replay():
    done = subprocess.run([sys.executable, "-c", PROBE], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[0]) > 30
    assert "needs the lab extra" in done.stderr

"""The images have the packages that they need: no engine builds them here, so their lists are held against the code."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What the edge image leaves out (HOUSE: everything but training and replay; data sets serve training alone).
LAB_ONLY = {"dataset", "replay", "training"}


def copied(stage: str) -> set[str]:
    """Return the folders that a stage of the Dockerfile copies."""
    text = (ROOT / "Dockerfile").read_text()
    part = re.search(rf"^FROM \S+ AS {stage}$(.*?)(?=^FROM |\Z)", text, re.MULTILINE | re.DOTALL)
    assert part is not None
    return {name for name, target in re.findall(r"^COPY (\S+) (\S+)$", part[1], re.MULTILINE) if name == target}


def packages() -> set[str]:
    linted = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return set(linted["root_packages"])


def test_the_edge_has_every_package_but_those_of_the_lab():
    assert copied("base") & packages() == packages() - LAB_ONLY


def test_the_lab_has_the_rest():
    assert copied("lab") >= LAB_ONLY


def test_packages_are_found_and_not_listed():
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
    assert {name.rstrip("*") for name in found} == packages(), "an image without some of them must install"

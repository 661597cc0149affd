"""The documentation names what there is: make targets, command verbs, configuration keys, packages."""

import importlib.metadata
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def text(*names: str) -> str:
    return "\n".join((ROOT / name).read_text() for name in names)


def make_targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*##", text("Makefile"), re.MULTILINE)


def settings_keys(model, prefix: str = "") -> list[str]:
    """Return the dotted keys of a pydantic settings model, nested models included."""
    from pydantic import BaseModel

    keys = []
    for name, field in model.model_fields.items():
        keys.append(f"{prefix}{name}")
        for part in [field.annotation, *getattr(field.annotation, "__args__", ())]:
            if isinstance(part, type) and issubclass(part, BaseModel):
                keys += settings_keys(part, f"{prefix}{name}.")
    return keys


@pytest.mark.parametrize("target", make_targets())
def test_make_target_is_documented(target):
    assert f"make {target}" in text("README.md", "CONTRIBUTING.md")


@pytest.mark.parametrize("verb", sorted(e.name for e in importlib.metadata.entry_points(group="traylane.commands")))
def test_verb_is_documented(verb):
    assert f"traylane {verb}" in text("README.md")


def test_every_configuration_key_is_documented_with_a_description():
    from checkout.config import SiteConfig

    page = text("docs/config.md")
    missing = [key for key in settings_keys(SiteConfig) if f"`{key.rpartition('.')[2]}`" not in page]
    assert not missing


@pytest.mark.parametrize(
    "package", ["core", "streams", "models", "tracker", "store", "checkout", "training", "replay", "app"]
)
def test_package_docstring_teaches_what_lives_there(package):
    docstring = text(f"{package}/__init__.py")
    assert len(docstring) > 100
    assert "import" in docstring


def test_no_lock_names_a_registry():
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()

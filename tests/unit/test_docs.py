"""The documentation names what there is: make targets, command verbs, configuration keys, packages."""

import importlib.metadata
import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def text(*names: str) -> str:
    return "\n".join((ROOT / name).read_text() for name in names)


def make_targets() -> list[str]:
    return re.findall(r"^([a-z-]+):.*##", text("Makefile"), re.MULTILINE)


@pytest.mark.parametrize("target", make_targets())
def test_make_target_is_documented(target):
    assert f"make {target}" in text("README.md", "CONTRIBUTING.md")


@pytest.mark.parametrize("verb", sorted(e.name for e in importlib.metadata.entry_points(group="traylane.commands")))
def test_verb_is_documented(verb):
    assert f"traylane {verb}" in text("README.md")


def generator():
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_configuration_page_and_schema_are_up_to_date():
    for name, content in generator().documents().items():
        assert (ROOT / "docs" / name).read_text() == content, f"docs/{name} is out of date: run `make docs`"


def test_every_configuration_key_has_a_description():
    from checkout.config import SiteConfig

    models, bare = [SiteConfig], []
    while models:
        model = models.pop()
        bare += [f"{model.__name__}.{name}" for name, field in model.model_fields.items() if not field.description]
        models += [m for field in model.model_fields.values() for m in generator().models_in(field.annotation)]
    assert not bare


@pytest.mark.parametrize(
    "package", ["core", "streams", "models", "tracker", "store", "checkout", "fleet", "training", "replay", "app"]
)
def test_package_docstring_teaches_what_lives_there(package):
    docstring = text(f"{package}/__init__.py")
    assert len(docstring) > 100
    assert "import" in docstring.lower()


def test_no_lock_names_a_registry():
    for lock in ROOT.glob("requirements*.lock"):
        assert "://" not in lock.read_text()

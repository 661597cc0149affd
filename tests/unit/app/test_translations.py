"""The German texts: every text of code and templates has one, and what is compiled is what is written."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
spec = importlib.util.spec_from_file_location("docs_translate", ROOT / "docs" / "translate.py")
translate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(translate)


def texts(catalog) -> set[str]:
    return {message.id if isinstance(message.id, str) else message.id[0] for message in catalog if message.id}


def test_the_catalogue_holds_every_text_and_no_other():
    today, written = texts(translate.collected()), texts(translate.committed())
    assert len(today) > 100
    assert today - written == set(), "new texts: run docs/translate.py and translate them"
    assert written - today == set(), "texts that nobody uses any more: run docs/translate.py"


def test_every_text_has_a_german_one():
    assert translate.missing(translate.committed()) == []


def test_the_compiled_catalogue_is_the_written_one():
    compiled = translate.mo_bytes(translate.committed())
    assert translate.PO.with_suffix(".mo").read_bytes() == compiled, "run docs/translate.py"
    assert translate.PO.read_bytes() == translate.po_bytes(translate.committed()), "run docs/translate.py"


@pytest.mark.parametrize("message", [m for m in translate.committed() if m.id], ids=lambda m: str(m.id)[:30])
def test_translations_keep_what_is_filled_in(message):
    sources = message.id if isinstance(message.id, tuple) else (message.id,)
    told = message.string if isinstance(message.string, tuple) else (message.string,)
    for source, text in zip(sources, told, strict=True):
        assert set(re.findall(r"%\((\w+)\)s|\{(\w+)\}", source)) == set(re.findall(r"%\((\w+)\)s|\{(\w+)\}", text))


@pytest.mark.parametrize("template", sorted((ROOT / "app" / "templates").glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_no_inline_script_style_or_handler(template):
    text = template.read_text()
    assert not re.search(r"<script(?![^>]*(src=|application/json))", text), "the CSP refuses inline scripts"
    assert not re.search(r"\sstyle=|<style|\son\w+=", text), "the CSP refuses inline styles and handlers"

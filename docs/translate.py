"""Collect the texts of the pages into the German catalogue, and compile it.

.venv/bin/python docs/translate.py          # renews messages.po (keeping what is translated) and messages.mo

A text that is new gets an empty translation, which a test refuses: fill it in `messages.po` and run this again. Texts
that nobody uses any more are left out. The catalogue is sorted and names no lines, so that merges stay small; a merge
conflict in `messages.mo` is settled by running this.
"""

from __future__ import annotations

import datetime
import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

APP = Path(__file__).resolve().parent.parent / "app"
PO = APP / "translations" / "de" / "LC_MESSAGES" / "messages.po"
MADE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "ngettext": (1, 2), "lazy_ngettext": (1, 2)}


def collected() -> Catalog:
    """Return all texts of the code and the templates, untranslated."""
    catalog = Catalog(locale="de", fuzzy=False)
    found = extract_from_dir(
        str(APP),
        method_map=[("**.py", "python"), ("templates/**.html", "jinja2")],
        keywords=KEYWORDS,
        options_map={"templates/**.html": {"silent": "false"}},
    )
    for _, _, message, _, context in found:
        catalog.add(message, context=context)
    return catalog


def committed() -> Catalog:
    """Return the German catalogue as it is in the repository."""
    with PO.open("rb") as stream:
        return read_po(stream, locale="de")


def merged() -> Catalog:
    """Return what the catalogue should be: today's texts with the translations that there are."""
    catalog, known = collected(), committed()
    for message in catalog:
        if message.id and (old := known.get(message.id, message.context)) is not None:
            message.string = old.string
    return catalog


def po_bytes(catalog: Catalog) -> bytes:
    """Return a catalogue as the text of a .po file; the same catalogue is the same bytes."""
    out = io.BytesIO()
    write_po(out, catalog, width=120, no_location=True, omit_header=True, sort_output=True)
    head = '# German texts of the pages; renewed by docs/translate.py.\nmsgid ""\nmsgstr ""\n'
    head += '"Content-Type: text/plain; charset=utf-8\\n"\n"Language: de\\n"\n'
    head += '"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
    return head.encode() + out.getvalue().strip() + b"\n"


def mo_bytes(catalog: Catalog) -> bytes:
    """Return a catalogue compiled."""
    # Babel would write today into the head: the same catalogue must be the same bytes.
    catalog.creation_date = catalog.revision_date = MADE
    out = io.BytesIO()
    write_mo(out, catalog)
    return out.getvalue()


def missing(catalog: Catalog) -> list[str]:
    """Return the texts without a translation."""
    texts = [(message.id, message.string) for message in catalog if message.id]
    return [str(text) for text, told in texts if not (all(told) if isinstance(told, tuple) else told)]


if __name__ == "__main__":
    PO.parent.mkdir(parents=True, exist_ok=True)
    if not PO.exists():
        PO.write_bytes(b"")
    PO.write_bytes(po_bytes(merged()))
    # Read again: the compiled file is made from what is committed, header included.
    PO.with_suffix(".mo").write_bytes(mo_bytes(committed()))
    for text in missing(committed()):
        print(f"not translated: {text}", file=sys.stderr)

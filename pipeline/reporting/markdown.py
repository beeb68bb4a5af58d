"""Markdown in which nothing foreign comes alive: no HTML, no links, no headings, no tables out of names."""

import re
from collections.abc import Iterable, Sequence

from pipeline.reporting.words import clean

_SPECIAL = re.compile(r"([\\`*_\[\]#!|~$]|^[-+=])")
_LINKED = re.compile(r"://|www\.|@", re.IGNORECASE)
"""What Markdown of the hub makes a link of by itself."""


def inert(text: object, most: int = 200) -> str:
    """Return a text as one line that means what it says, of `most` characters; where it holds an address, as code."""
    line = " ".join(clean(text, most).split())
    if _LINKED.search(line):
        return code(line, most)
    return _SPECIAL.sub(r"\\\1", line).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def code(text: object, most: int = 200) -> str:
    """Return a text as code: nothing in it is read, and a bar ends no cell of a table."""
    line = " ".join(clean(text, most).split()).replace("|", "¦")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") or not line else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a table; cells are Markdown already, the first column stands left and the others right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]


def bullets(texts: Iterable[object]) -> list[str]:
    """Return a list of texts."""
    return [f"- {inert(text)}" for text in texts]

"""What of a page stays off paper: tables so long that nobody reads them there, with words that say where they are."""

import re
from collections.abc import Sequence

from markupsafe import Markup

_MOST = 40
"""Rows of a table on paper."""
_TABLE = re.compile(r"<table(?P<more>[^>]*)>(?P<inside>.*?)</table>", re.DOTALL)
_POINTER = re.compile(r'data-json-pointer="([^"]*)"')


def for_print(page: str, file: str) -> str:
    """Return a page whose long tables print as a line that names their rows and their place in `file`.

    So do those with the attribute data-off, because a figure beside them tells most.
    """
    return _TABLE.sub(lambda found: _shortened(found, file), page)


def _shortened(found: re.Match[str], file: str) -> str:
    head, _, body = found["inside"].partition("<tbody>")
    rows = body.count("<tr")
    if rows <= _MOST and "data-off" not in found["more"]:
        return found.group()
    place = shared(_POINTER.findall(body))
    where = Markup(" from <code>{}</code> on").format(Markup(place)) if place else ""  # escaped where it stands
    words = f"This table has {rows:,} rows and is left out of print: they stand in <code>{file}</code>{where}."
    return f'<table{found["more"]} data-long>{head}<tbody>{body}</table><p class="instead">{words}</p>'


def shared(pointers: Sequence[str]) -> str:
    """Return the place that all JSON pointers lie below; "" where there is none."""
    parts = [pointer.split("/") for pointer in pointers]
    same = []
    for each in zip(*parts, strict=False):
        if len(set(each)) > 1:
            break
        same.append(each[0])
    return "/".join(same)

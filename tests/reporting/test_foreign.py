"""Drawn strings where data can put text: the page has the elements and attributes it has with plain words."""

import json
from functools import cache
from html.parser import HTMLParser
from typing import Any

from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from pipeline.core.contracts import Provenance
from pipeline.core.settings import ReportSettings, ScopeSettings
from pipeline.core.strict import plain
from pipeline.reporting import document, render
from pipeline.reporting.scope import SCOPE as SCOPE_WORDS
from tests.reporting.records import CLASSES, HOSTILE, IMAGE, SERIES, TABLE, TEXT, AnyInputs, records

PLACES = (HOSTILE, *CLASSES[1:], "'; DROP", 'w" onload="x', "a file.csv")
"""Strings of the records that stand for names of classes, columns, words, files; the first also for texts and notes."""
SCOPE = ScopeSettings(**dict.fromkeys(SCOPE_WORDS, HOSTILE))
INPUTS: dict[str, AnyInputs] = {"image": IMAGE, "table": TABLE, "text": TEXT, "series": SERIES}
PARTS = ("<script>", "</script>", "<img src=x onerror=x>", '"', "'", '" onload="', "</title>", "</style>", "</svg>",
         "<!--", "-->", "]]>", "<![CDATA[", "&lt;", "&#60;", "&", "<", ">", "=", "`", "javascript:x", "//host/x",
         "http://host/x", "url(http://host/x)", "{{ 7*7 }}", "{% raw %}", "\\", "\0", "\n", "\r", "\t", "\u202e",
         "\u2028", "\ufeff", "<a href=//host>", "<svg/onload=x>", "</", "/", "~1", "#", "error",
         "disadvantaged: x", "default")  # fmt: skip
STRINGS = st.lists(st.sampled_from(PARTS) | st.text(max_size=6), min_size=1, max_size=6).map("".join).filter(bool)
VALUES = {"src", "href", "style", "id", "class", "role", "data-json-pointer", "content", "http-equiv", "rel", "action",
          "srcset", "aria-details", "d", "points", "viewbox"}  # fmt: skip
"""Attributes whose values no text of the data may change."""


class Structure(HTMLParser):
    """Elements in their order, with the names of their attributes and those values that are the page's own."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self.drawn: set[object] = set()
        """Of the drawing of the network, whose boxes grow with their words: which elements with which attributes."""
        self.drawing = False
        self.sources: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.drawing |= tag == "svg" and ("class", "net") in attrs
        if self.drawing:
            self.drawn.add((tag, *(name for name, _ in attrs)))
            return
        self.found.append((tag, [(name, value if name in VALUES else "") for name, value in attrs]))
        self.sources += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_endtag(self, tag: str) -> None:
        if not self.drawing:
            self.found.append(tag)
        self.drawing &= tag != "svg"

    def handle_comment(self, data: str) -> None:
        self.found.append("comment")

    def handle_decl(self, decl: str) -> None:
        self.found.append(decl)

    def unknown_decl(self, data: str) -> None:
        self.found.append("unknown")

    def handle_pi(self, data: str) -> None:
        self.found.append("instruction")


@cache
def text_of(kind: str) -> str:
    """Return a report as JSON, with the strings of PLACES in it."""
    inputs = INPUTS[kind]
    known = Provenance(
        stage="prepare", command=f"python -m pipeline.prepare x={HOSTILE}", digests={"a file.csv": "ab"}, seed=7,
        code="c0de", code_of=("core",), versions={"python": "3.12"}, inputs={"prepare": {"a file.csv": "aa"}},
        params={"title": HOSTILE},
    )  # fmt: skip
    made = document(
        ReportSettings(title=HOSTILE, purpose=HOSTILE, include_raw=True, scope=SCOPE),
        records(inputs, "sensitive"),
        [known],
    )
    return json.dumps(plain(made))


def page(kind: str, strings: tuple[str, ...]) -> Structure:
    """Return the page with other strings in these places."""
    text = text_of(kind)
    for old, new in zip(PLACES, strings, strict=True):
        text = text.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
    loaded: dict[str, Any] = json.loads(text)
    return Structure(render(loaded))


@cache
def plain_page(kind: str) -> Structure:
    return page(kind, ("one", "two", "three", "four", "five", "six"))


def test_the_strings_stand_in_the_report() -> None:
    """Else the test below would replace nothing."""
    assert all(json.dumps(HOSTILE)[1:-1] in text_of(kind) for kind in INPUTS)
    assert all(json.loads(text_of(kind))["scope"] == dict.fromkeys(SCOPE_WORDS, HOSTILE) for kind in INPUTS)
    assert all(any(json.dumps(place)[1:-1] in text_of(kind) for kind in INPUTS) for place in PLACES)


@settings(max_examples=200, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # to shrink takes minutes
@example("table", ("signed_error", "absolute_error", "error", "_error", "an error", "error."))
@given(
    st.sampled_from(list(INPUTS)), st.lists(STRINGS, min_size=len(PLACES), max_size=len(PLACES), unique=True).map(tuple)
)
def test_no_string_makes_an_element_an_attribute_or_a_reference(kind: str, strings: tuple[str, ...]) -> None:
    found = page(kind, strings)
    assert found.found == plain_page(kind).found
    assert found.drawn == plain_page(kind).drawn
    assert all(source.startswith(("data:image/png;base64,", "#")) for source in found.sources)

"""The page for everybody: axe-core finds nothing, and every figure has words and a table."""

import html
import importlib.util
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import Provenance, Threshold
from pipeline.core.settings import ReportSettings
from pipeline.core.strict import plain
from pipeline.metrics.thresholds import curves, decision_table
from pipeline.reporting import document, render
from tests.browser import dumped, needs_chromium
from tests.reporting.records import IMAGE, SERIES, TABLE, TEXT, AnyInputs, records

INPUTS: dict[str, AnyInputs] = {"image": IMAGE, "table": TABLE, "text": TEXT, "series": SERIES}
BEHIND = [Provenance(stage="prepare", command="python -m pipeline.prepare", digests={"artifacts/prepare/fit": "ab"})]
_RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']}"


def page(kind: str) -> str:
    """Return a report with everything that can be drawn."""
    settings = ReportSettings(title="A report", purpose="To see whether it can be read", include_raw=True)
    made: dict[str, Any] = json.loads(json.dumps(plain(document(settings, records(INPUTS[kind], "sensitive"), BEHIND))))
    evaluate = made["evaluate"]
    held = np.arange(60) % 3 == 0
    p = np.where(held, 0.4, 0.2) + np.arange(60) / 300
    roc, precision_recall = curves(held, p)
    threshold = Threshold(
        value=0.375, chosen_for="f1", rows=44, positive="yes", metrics=decision_table(held, p >= 0.375, 0.95),
        argmax=decision_table(held, p > 0.5, 0.95), roc=roc, precision_recall=precision_recall,
    )  # fmt: skip
    evaluate["threshold"] = json.loads(json.dumps(plain(threshold)))
    number = evaluate["metrics"]["accuracy"]
    points = [{"label": label, "score": number, "quality": number} for label in ("search", "test")]
    evaluate["curse"] = {"metric": "log_loss", "quality": "accuracy", "points": points, "optimism": number,
                         "own": number, "longer": True, "optimism_of": "quality", "words": "luck"}  # fmt: skip
    return render(made)


class Figures(HTMLParser):
    """Pictures, and the figure and item of a list that each stands in; tables, by the same."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.around: list[tuple[str, int, dict[str, str | None]]] = []
        self.pictures: list[tuple[dict[str, str | None], list[tuple[str, int, dict[str, str | None]]]]] = []
        self.tables: list[set[int]] = []
        self.identities: dict[str, str] = {}
        self.count = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += 1
        found = dict(attrs)
        if found.get("id"):
            self.identities[str(found["id"])] = tag
        if tag in ("svg", "img"):
            self.pictures.append((found, [*self.around]))
        if tag == "table":
            self.tables.append({at for _, at, _ in self.around})
        if tag in ("figure", "li"):
            self.around.append((tag, self.count, found))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("figure", "li"):
            self.around.pop()


@pytest.mark.parametrize("kind", INPUTS)
def test_every_figure_has_words_and_a_table(kind: str) -> None:
    found = Figures(page(kind))
    assert len(found.pictures) > 8
    for attributes, around in found.pictures:
        assert attributes.get("aria-label") or attributes.get("alt")
        told = [found.identities.get(str(figure.get("aria-details"))) for _, _, figure in around]
        assert "table" in told or any(at in inside for _, at, _ in around for inside in found.tables), attributes


@pytest.mark.parametrize("kind", INPUTS)
def test_every_column_of_numbers_names_its_place_in_the_json(kind: str) -> None:
    cells = re.findall(
        r'<td class="r">(.*?)</td>', re.sub(r'(?s)<details class="numbers">.*?</details>', "", page(kind))
    )
    assert len(cells) > 100
    assert [
        cell for cell in cells if re.search(r"\d", re.sub("<[^>]+>", "", cell)) and "data-json-pointer" not in cell
    ] == []


def axe() -> str:
    """Return axe-core's script."""
    spec = importlib.util.find_spec("axe_core_python")
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def examined(text: str, folder: Path, width: int, dark: bool) -> list[dict[str, Any]]:
    """Return what axe-core finds wrong with a page of this width, all unfolded, and the rules it broke down at."""
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("<details", "<details open")
    text = text.replace("(prefers-color-scheme:dark)", "all" if dark else "not all")
    text = text.replace("color-scheme:light dark", f"color-scheme:{'dark' if dark else 'light'}")
    run = (
        f"<script>{axe()}</script><script>axe.run(document, {_RULES}).then(found => parent.postMessage(JSON.stringify("
        "{width: document.documentElement.clientWidth, violations: found.violations.concat("
        "found.incomplete.filter(v => !v.nodes.length)).map(v => ({id: v.id, help: v.help, "
        "at: v.nodes.slice(0, 4).map(n => n.html.slice(0, 200) + ' ' + n.failureSummary)}))}), '*'))</script>"
    )
    inner = html.escape(text.replace("</body>", f"{run}</body>"))
    outer = (
        "<!doctype html><html lang='en'><title>axe</title><body><script>addEventListener('message', told => {"
        "const found = document.createElement('pre'); found.id = 'found'; found.textContent = told.data; "
        f"document.body.replaceChildren(found)}})</script><iframe style='width:{width}px;height:900px;border:0' "
        f'srcdoc="{inner}"></iframe></body></html>'
    )  # a window of Chromium is never as narrow as a telephone, a frame is
    place = folder / "page.html"
    place.write_text(outer, encoding="utf-8")
    told = re.search(r'<pre id="found">(.*?)</pre>', dumped(place.as_uri(), folder / "browser", width=1400), re.S)
    assert told, "axe-core did not come to its end"
    result = json.loads(html.unescape(told.group(1)))
    assert width - 20 <= result["width"] <= width
    violations: list[dict[str, Any]] = result["violations"]
    return violations


@needs_chromium
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "width", "dark"),
    [("image", 1280, False), ("image", 1280, True), ("image", 320, False), ("image", 320, True), ("table", 320, False),
     ("text", 1280, True), ("series", 320, True)],
)  # fmt: skip
def test_axe_core_finds_no_violation(kind: str, width: int, dark: bool, tmp_path: Path) -> None:
    assert examined(page(kind), tmp_path, width, dark) == []


@needs_chromium
@pytest.mark.slow
def test_axe_core_sees_what_is_wrong(tmp_path: Path) -> None:
    """Else no violation would mean nothing."""
    broken = page("image").replace('role="img" aria-label="', 'role="img" data-x="')
    broken = broken.replace("--soft:#565d66", "--soft:#ccc")
    assert {"svg-img-alt", "color-contrast"} <= {v["id"] for v in examined(broken, tmp_path, 1280, False)}

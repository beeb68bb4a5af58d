"""The whole report once more: records from what is stored, report.json from the records, the page from report.json."""

from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from typing import Any

from pipeline.core.settings import ReportSlice
from pipeline.core.store import EVALUATE, REPORTS, missing, read_json
from pipeline.evaluation import load_predictions
from pipeline.report import all_records
from pipeline.reporting import Records, document, render
from pipeline.tracing.comparing import ABSENT, Mismatch, Part, compared
from pipeline.tracing.digests import digests_part
from pipeline.tracing.judging import evaluate_part, fairness_part, interpret_part
from pipeline.tracing.places import REPORT
from pipeline.tracing.recomputing import Behind, data_part, model_part, search_part, settings_of
from pipeline.tracing.why import clean_line, provenance_in

PAGE = REPORTS / "report.html"
SHOWN = 10
"""Mismatches that are printed."""


def verified() -> list[Part]:
    """Compute everything again that what is stored allows, and compare."""
    report = read_json(REPORT)
    if not PAGE.exists():
        raise missing(PAGE)
    behind, records = provenance_in(report), all_records()
    said = load_predictions(EVALUATE, records.card)
    return [
        data_part(records.card, said),
        search_part(records),
        model_part(records, behind),
        evaluate_part(records, said, behind),
        interpret_part(records, said, behind),
        fairness_part(records, said, behind),
        report_part(report, records, behind),
        page_part(report, PAGE.read_text(encoding="utf-8")),
        digests_part(records, behind),
    ]


def report_part(report: Mapping[str, Any], records: Records, behind: Behind) -> Part:
    """Put the records together again; what stands behind them has digests, and a part of its own."""
    settings = settings_of(behind, "report", ReportSlice).report
    again = document(settings, records, list(behind.values()))
    ours, theirs = ({k: v for k, v in one.items() if k != "provenance"} for one in (report, again))
    return compared("report.json", ours, theirs, "")


class _Numbers(HTMLParser):
    """Collects the text of everything that says which place of report.json it shows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._inside: list[str | None] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what opens; numbers stand in span and td."""
        if tag in ("span", "td", "li"):
            self._inside.append(dict(attrs).get("data-json-pointer"))

    def handle_endtag(self, tag: str) -> None:
        """Note what closes."""
        if tag in ("span", "td", "li") and self._inside:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        """Add text to the innermost place."""
        place = next((p for p in reversed(self._inside) if p), None)
        if place:
            self.found[place] = self.found.get(place, "") + data


def page_part(report: Mapping[str, Any], page: str) -> Part:
    """Render report.json again: every number shown must be the one its place holds, and all else the same too."""
    again = render(report)
    shown, expected = _Numbers(page).found, _Numbers(again).found
    wrong = tuple(
        Mismatch(place=f"{PAGE}: {place}", reported=shown.get(place, ABSENT), recomputed=expected.get(place, ABSENT))
        for place in dict.fromkeys((*expected, *shown))
        if shown.get(place) != expected.get(place)
    )
    if page != again and not wrong:
        wrong = (Mismatch(place=str(PAGE), reported="another page", recomputed=f"what {REPORT} renders to"),)
    checked = len(expected.keys() | shown.keys())
    return Part(name="report.html", checked=checked, equal=checked - len(wrong), mismatches=wrong)


def verify_lines(parts: Sequence[Part]) -> list[str]:
    """Return the table, what was not computed again and why, and the first mismatches."""
    lines = [f"{'part':<14}{'checked':>9}{'equal':>9}"]
    lines += [f"{part.name:<14}{part.checked:>9,}{part.equal:>9,}" for part in parts]
    groups: dict[str, list[str]] = {}
    for part in parts:
        for place, why in part.left.items():
            groups.setdefault(why, []).append(place)
    if groups:
        lines += ["", "not computed again:"]
        lines += [f"  {_places(found)}: {why}" for why, found in groups.items()]
    wrong = [mismatch for part in parts for mismatch in part.mismatches]
    if not wrong:
        return [clean_line(line) for line in [*lines, "", "all of it is equal"]]
    lines += ["", f"{len(wrong)} mismatch{'es' * (len(wrong) > 1)}" + f", the first {SHOWN}:" * (len(wrong) > SHOWN)]
    lines += [f"  {m.place}: reported {m.reported!r}, recomputed {m.recomputed!r}" for m in wrong[:SHOWN]]
    return [clean_line(line) for line in lines]


def _places(found: Sequence[str]) -> str:
    """Return places in short: the numbers of lists as one."""
    short = dict.fromkeys("/".join("*" if key.isdigit() else key for key in place.split("/")) for place in found)
    names = list(short)
    return ", ".join(names[:5]) + f" and {len(names) - 5} more" * (len(names) > 5)

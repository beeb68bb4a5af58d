"""What prints: long tables are a line on paper that says where their numbers are."""

import re
from pathlib import Path

import pytest

import pipeline.reporting
from pipeline.reporting.printed import for_print, shared

CSS = (Path(pipeline.reporting.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")


def table(rows: int, more: str = "") -> str:
    cells = "".join(
        f'<tr><td><span data-json-pointer="/search/trials/{i}/score">1</span></td></tr>' for i in range(rows)
    )
    return f"<table{more}><thead><tr><th>a</th></tr></thead><tbody>{cells}</tbody></table>"


def test_a_table_of_more_than_forty_rows_stays_off_paper_and_says_where_it_is() -> None:
    assert for_print(table(40), "reports/report.json") == table(40)
    found = for_print(f"<p>a</p>{table(1041)}<p>b</p>{table(2)}", "reports/report.json")
    assert found.count("data-long") == 1
    assert (
        '<p class="instead">This table has 1,041 rows and is left out of print: they stand in '
        "<code>reports/report.json</code> from <code>/search/trials</code> on.</p><p>b</p>"
    ) in found
    assert found.count("<tr>") == 1041 + 2 + 2


def test_a_table_that_a_figure_tells_is_left_out_too_and_foreign_names_stay_escaped() -> None:
    found = for_print(table(3, ' id="x" data-off'), "reports/partial.json")
    assert '<table id="x" data-off data-long>' in found
    hostile = for_print(table(50).replace("search", "&lt;script&gt;"), "reports/report.json")
    assert "<script>" not in hostile
    assert "<code>/&lt;script&gt;/trials</code>" in hostile
    assert "<code>reports/report.json</code>.</p>" in for_print(re.sub(' data-json-pointer="[^"]*"', "", table(41)),
                                                              "reports/report.json")  # fmt: skip


@pytest.mark.parametrize(
    ("pointers", "place"),
    [(["/a/b/0", "/a/b/1"], "/a/b"), (["/a/b"], "/a/b"), (["/a", "/b"], ""), ([], ""), (["/a/b1", "/a/b2"], "/a")],
)
def test_the_place_of_a_table_is_what_its_pointers_share(pointers: list[str], place: str) -> None:
    assert shared(pointers) == place


def test_paper_shows_the_line_and_the_screen_the_table() -> None:
    screen, _, paper = CSS.partition("@media print{")
    assert ".instead{display:none}" in screen
    assert re.search(r"table\[data-long\][^{]*\{display:none\}", paper)
    assert ".instead{display:block}" in paper

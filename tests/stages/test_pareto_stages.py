"""Several objectives from the command line to the page, on real digits."""

import json
import re
from pathlib import Path

import pytest

from tests.conftest import Shell

SEARCH = "objective=pareto search=tiny space=tiny search.n_trials=10 search.epochs=6 search.eta=3"


@pytest.mark.slow
def test_the_front_of_a_search_is_handed_on_and_reported(project: Path, shell: Shell) -> None:
    for stage in ("prepare", f"search {SEARCH}", "train train.epochs=2", "evaluate evaluate.baselines=[constant]",
                  "interpret interpret.rows=2", "fairness", "report"):  # fmt: skip
        done = shell(project, f"python -m pipeline.{stage}")
        if stage.startswith("search"):
            assert "front of score, parameters: " in done.stdout
    record = json.loads((project / "artifacts/search/search.json").read_text())
    front = json.loads((project / "artifacts/search/front.json").read_text())
    best = json.loads((project / "artifacts/search/best.json").read_text())
    numbers = [member["number"] for member in front["members"]]
    assert best["number"] in numbers
    for member in front["members"]:
        trial = record["trials"][member["number"]]
        assert member["candidate"] == trial["candidate"]
        assert member["objectives"] == {"parameters": trial["parameters"]}
    sizes = [member["objectives"]["parameters"] for member in front["members"]]
    assert len(sizes) >= 2
    assert sizes == sorted(sizes, reverse=True)  # lowest score first, so the largest too
    page = (project / "reports/report.html").read_text()
    assert "What the search minimised together" in page
    rows = page.split("<caption>The front</caption>")[1].split("</table>")[0]
    assert re.findall(r'<tr><td class="r">(?:<[^>]+>)*(\d+)', rows) == [str(number) for number in numbers]
    shown = json.loads((project / "reports/report.json").read_text())["search"]["front"]
    assert shown["hypervolume"] == front["hypervolume"] > 0
    assert "candidate" not in shown["members"][0]

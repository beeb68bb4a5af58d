"""A partial report shows what there is, a study in the database too, lists the rest and leaves the final one alone."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipeline import configure, partial, search
from pipeline.core.settings import SearchSlice
from pipeline.stage import compose, recorded, slice_for
from tests.conftest import Shell
from tests.test_pipeline import kill_at, small
from tests.tracing.finished import SMALL, project_in, run_all


def rendered() -> tuple[dict[str, Any], str]:
    """Render with the settings of params.yaml; return document and page."""
    partial.run(recorded())
    return json.loads(Path("reports/partial.json").read_text()), Path("reports/partial.html").read_text()


def missing_stages(document: dict[str, Any]) -> list[str]:
    return [line.partition(":")[0] for line in document["not_assessed"]]


def test_nothing_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project_in(tmp_path)
    monkeypatch.chdir(tmp_path)
    configure.run(compose(SMALL))
    document, page = rendered()
    assert missing_stages(document) == ["prepare", "search", "train", "evaluate", "interpret", "fairness"]
    assert page.count("Still to run: <code>python -m pipeline.") == 6
    assert "Partial report" in page
    run_all(stages=("prepare",))
    document, page = rendered()
    assert missing_stages(document)[0] == "search"
    assert document["data"]["rows"]["train"] > 1000
    assert "Still to run: <code>python -m pipeline.prepare" not in page


def test_what_is_there_is_shown_and_the_rest_is_listed(run: Path) -> None:
    final = {name: (run / "reports" / name).read_bytes() for name in ("report.json", "report.html")}
    whole = json.loads(final["report.json"])
    shutil.rmtree("artifacts/interpret")
    shutil.rmtree("artifacts/fairness")
    document, page = rendered()
    assert missing_stages(document) == ["interpret", "fairness"]
    assert "interpret: still to run, `python -m pipeline.interpret`" in document["not_assessed"]
    for part in ("data", "model", "evaluate", "headline"):
        assert document[part] == whole[part]
    assert document["interpret"] is document["fairness"] is None
    assert [made["stage"] for made in document["provenance"]] == ["prepare", "search", "train", "evaluate"]
    assert 'data-json-pointer="/evaluate/metrics/accuracy"' in page
    assert "<script" not in page
    assert {name: (run / "reports" / name).read_bytes() for name in final} == final


def test_a_search_that_did_not_end_is_read_from_its_study(run: Path) -> None:
    whole = json.loads((run / "artifacts/search/search.json").read_text())
    shutil.rmtree("artifacts/search")  # as DVC does before the stage runs; what came after it is of another search
    document, page = rendered()
    assert missing_stages(document) == ["search", "train", "evaluate", "interpret", "fairness"]
    assert document["not_assessed"][0].startswith("search: 2 trials so far, not its end; ")
    assert [trial["score"] for trial in document["search"]["trials"]] == [trial["score"] for trial in whole["trials"]]
    assert document["search"]["ensemble"] is document["evaluate"] is None
    assert 'data-json-pointer="/search/trials/1/score"' in page
    assert not Path("artifacts/search").exists()


def test_the_study_of_other_settings_is_not_taken_for_this_one(run: Path) -> None:
    shutil.rmtree("artifacts/search")
    config = compose([*SMALL, "search.epochs=3"])
    configure.run(config)
    document, _ = rendered()
    assert document["search"] is None
    names = search.study_name(slice_for("search", SearchSlice, config), "x")
    assert re.fullmatch(r"search-[0-9a-f]{12}", names)


def test_what_was_made_of_other_inputs_is_not_shown(run: Path) -> None:
    configure.run(compose([*SMALL, "train.epochs=1"]))
    run_all([*SMALL, "train.epochs=1"], stages=("train",))
    document, _ = rendered()
    assert missing_stages(document) == ["evaluate", "interpret", "fairness"]
    assert document["not_assessed"][0].startswith("evaluate: what lies there was made of other inputs; still to run")
    assert document["model"]["candidate"] == document["search"]["trials"][document["search"]["best"]]["candidate"] | {
        "optimizer": document["model"]["candidate"]["optimizer"]
    }


@pytest.mark.slow
def test_a_search_killed_half_way(project: Path, shell: Shell) -> None:
    small(project)
    shell(project, "python -m pipeline.configure && python -m pipeline.prepare --params")
    kill_at(project, "search", "trial 1")
    done = shell(project, "python -m pipeline.report --params partial=true")
    assert "not assessed: search: " in done.stdout
    document = json.loads((project / "reports/partial.json").read_text())
    assert len(document["search"]["trials"]) >= 1
    assert not (project / "reports/report.html").exists()
    shell(project, "python -m pipeline.search --params")
    assert len(json.loads((project / "artifacts/search/search.json").read_text())["trials"]) == 4

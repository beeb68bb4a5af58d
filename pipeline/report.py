"""All records → reports/report.json → reports/report.html and model_card.md, made from the JSON alone.

Beside it lies report.schema.json, which says what stands where in report.json.

`python -m pipeline.report --summary` prints the outcome of the last run and changes nothing, `partial=true` writes what
there is so far, of a running search too, to reports/partial.html, and `compare=REVISION`, or =FOLDER, sets another run
beside this one in reports/compare.html.
"""

import logging
import runpy
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from pipeline.core.contracts import (
    DatasetCard,
    EnsembleRecord,
    Explanations,
    FairnessRecord,
    FrontRecord,
    ModelCard,
    Provenance,
    RobustnessRecord,
    Scores,
    SearchRecord,
)
from pipeline.core.errors import PipelineError
from pipeline.core.provenance import provenance_of, standing_behind
from pipeline.core.settings import ReportSlice
from pipeline.core.store import (
    EVALUATE,
    FAIRNESS,
    FIT,
    FOLDERS,
    INTERPRET,
    REPORTS,
    SEARCH,
    TEST,
    TRAIN,
    folder_bytes,
    missing,
    read_json,
    read_record,
    write_bytes,
    write_json,
)
from pipeline.core.strict import plain
from pipeline.stage import run_stage

if TYPE_CHECKING:
    from pipeline.reporting import Records

log = logging.getLogger("pipeline.report")


def provenance(settings: ReportSlice, arguments: Sequence[str]) -> list[Provenance]:
    """Return what stands behind each stage, this one last."""
    return [*(standing_behind(stage) for stage in FOLDERS), provenance_of("report", plain(settings), arguments)]


def all_records() -> "Records":
    """Return what the stages before wrote."""
    import numpy as np

    from pipeline.reporting import Records

    path = INTERPRET / "attributions.npz"
    if not path.exists():
        raise missing(path)
    with np.load(path, allow_pickle=False) as arrays:
        attributions = {name: arrays[name] for name in arrays.files}
    return Records(
        card=read_record(DatasetCard, FIT / "dataset.json"),
        search=read_record(SearchRecord, SEARCH / "search.json"),
        front=read_record(FrontRecord, SEARCH / "front.json"),
        ensemble=read_record(EnsembleRecord, SEARCH / "ensemble.json"),
        model=read_record(ModelCard, TRAIN / "card.json"),
        scores=read_record(Scores, EVALUATE / "scores.json"),
        robustness=read_record(RobustnessRecord, EVALUATE / "robustness.json"),
        explanations=read_record(Explanations, INTERPRET / "checks.json"),
        attributions=attributions,
        fairness=read_record(FairnessRecord, FAIRNESS / "groups.json"),
        disk={
            folder.as_posix(): folder_bytes(folder) for some in FOLDERS.values() for folder in some if folder != TEST
        },
    )


def run(settings: ReportSlice, arguments: Sequence[str] = ("--params",)) -> None:
    """Write report.json with its schema, report.html and model_card.md; `arguments`: of the command line."""
    from pipeline.reporting import document, hub_card, render, report_schema

    records = all_records()
    write_json(REPORTS / "report.json", document(settings.report, records, provenance(settings, arguments)))
    write_json(REPORTS / "report.schema.json", report_schema())
    report = read_json(REPORTS / "report.json")
    write_bytes(REPORTS / "report.html", render(report).encode())
    write_bytes(REPORTS / "model_card.md", hub_card(report).encode())
    log.info("%s, %.0f kB", REPORTS / "report.html", (REPORTS / "report.html").stat().st_size / 1000)


def summary() -> int:
    """Print score, baseline, winner, report and dashboard of the last run; return the exit code."""
    from pipeline.reporting import summary_lines

    try:
        report = read_json(REPORTS / "report.json")
    except PipelineError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    sys.stdout.write("\n".join(["", *summary_lines(report), ""]))
    return 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--summary"]:
        sys.exit(summary())
    elif "partial=true" in sys.argv[1:]:
        # By its name: the stage reads artifacts alone, and must not depend on the code of the search as this does.
        runpy.run_module("pipeline.partial", run_name="__main__", alter_sys=True)
    elif any(argument.startswith("compare=") for argument in sys.argv[1:]):
        runpy.run_module("pipeline.compare", run_name="__main__", alter_sys=True)
    else:
        run_stage("report", ReportSlice, partial(run, arguments=sys.argv[1:]))

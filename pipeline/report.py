"""All records → reports/report.json → reports/report.html, rendered from the JSON alone.

`python -m pipeline.report --summary` prints the outcome of the last run and changes nothing.
"""

import logging
import sys

from pipeline.core.contracts import (
    DatasetCard,
    EnsembleRecord,
    Explanations,
    FairnessRecord,
    FrontRecord,
    ModelCard,
    Provenance,
    Scores,
    SearchRecord,
)
from pipeline.core.errors import PipelineError
from pipeline.core.settings import ReportSlice
from pipeline.core.store import (
    EVALUATE,
    FAIRNESS,
    FIT,
    INTERPRET,
    REPORTS,
    SEARCH,
    TRAIN,
    folder_bytes,
    missing,
    read_json,
    read_record,
    sha256_folder,
    write_bytes,
    write_json,
)
from pipeline.stage import run_stage

log = logging.getLogger("pipeline.report")

_FOLDERS = {
    "prepare": FIT,
    "search": SEARCH,
    "train": TRAIN,
    "evaluate": EVALUATE,
    "interpret": INTERPRET,
    "fairness": FAIRNESS,
}


def provenance() -> list[Provenance]:
    """Return command and digest of each stage before this one."""
    return [
        Provenance(
            stage=stage,
            command=f"python -m pipeline.{stage} --params",
            digests={folder.as_posix(): sha256_folder(folder)},
        )
        for stage, folder in _FOLDERS.items()
    ]


def run(settings: ReportSlice) -> None:
    """Write report.json and report.html."""
    import numpy as np

    from pipeline.reporting import Records, document, render

    path = INTERPRET / "attributions.npz"
    if not path.exists():
        raise missing(path)
    with np.load(path, allow_pickle=False) as arrays:
        attributions = {name: arrays[name] for name in arrays.files}
    records = Records(
        card=read_record(DatasetCard, FIT / "dataset.json"),
        search=read_record(SearchRecord, SEARCH / "search.json"),
        front=read_record(FrontRecord, SEARCH / "front.json"),
        ensemble=read_record(EnsembleRecord, SEARCH / "ensemble.json"),
        model=read_record(ModelCard, TRAIN / "card.json"),
        scores=read_record(Scores, EVALUATE / "scores.json"),
        explanations=read_record(Explanations, INTERPRET / "checks.json"),
        attributions=attributions,
        fairness=read_record(FairnessRecord, FAIRNESS / "groups.json"),
        disk={folder.as_posix(): folder_bytes(folder) for folder in _FOLDERS.values()},
    )
    write_json(REPORTS / "report.json", document(settings.report, records, provenance()))
    write_bytes(REPORTS / "report.html", render(read_json(REPORTS / "report.json")).encode())
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
    else:
        run_stage("report", ReportSlice, run)

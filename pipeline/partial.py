"""What there is so far → reports/partial.html; the final report stays as it is.

    python -m pipeline.report partial=true [key=value]

Finished stages are shown from their artifacts, a search that runs or was killed from the study's database, found by the
settings: those of conf/ with the overrides given here, and those of params.yaml; where both have a study, the one whose
last trial is younger.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

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
from pipeline.core.provenance import declared, standing_behind
from pipeline.core.settings import ReportSlice, SearchSlice
from pipeline.core.store import (
    EVALUATE,
    FAIRNESS,
    FIT,
    INTERPRET,
    REPORTS,
    SEARCH,
    TRAIN,
    read_json,
    read_record,
    write_bytes,
    write_json,
)
from pipeline.search import study_name
from pipeline.stage import PARAMS, launch, recorded, slice_for, state_folder

if TYPE_CHECKING:
    from pipeline.reporting import SoFar

log = logging.getLogger("pipeline.report")

PAGE, DOCUMENT = REPORTS / "partial.html", REPORTS / "partial.json"
_RECORDS = {
    "prepare": FIT / "dataset.json",
    "search": SEARCH / "search.json",
    "train": TRAIN / "card.json",
    "evaluate": EVALUATE / "scores.json",
    "interpret": INTERPRET / "checks.json",
    "fairness": FAIRNESS / "groups.json",
}


def finished(unfinished: tuple[str, ...] = ()) -> tuple[dict[str, Provenance], dict[str, str]]:
    """Return what stands behind each stage that is finished, and of the others what is to be said.

    A stage counts where all it reads is finished and is still what it read; those of `unfinished` do not.
    """
    done: dict[str, Provenance] = {}
    gone = {}
    for stage, path in _RECORDS.items():
        run = f"still to run, `python -m pipeline.{stage}`"
        if stage in unfinished or not path.exists() or not set(declared(stage).inputs) <= set(done):
            gone[stage] = f"{stage}: {run}"
            continue
        made = standing_behind(stage)
        if any(read and read != done[before].digests for before, read in made.inputs.items()):
            gone[stage] = f"{stage}: what lies there was made of other inputs; {run}"
        else:
            done[stage] = made
    return done, gone


def study_so_far(config: Mapping[str, Any], data_digest: str) -> SearchRecord | None:
    """Return the trials of the study that these settings, or those of params.yaml, name."""
    from pipeline.training.data import load_data
    from pipeline.tuning import Problem, record_so_far

    problems: dict[str, Problem] = {}
    data = load_data(read_record(DatasetCard, FIT / "dataset.json"), FIT)
    for composed in (config, *([recorded()] if PARAMS.exists() else [])):
        s = slice_for("search", SearchSlice, composed)
        problem = Problem(data, s.search, s.trainer, s.seed, objective=s.objective)
        problems.setdefault(study_name(s, data_digest), problem)
    return record_so_far(problems, state_folder())


def gathered(config: Mapping[str, Any]) -> "tuple[SoFar, list[Provenance]]":
    """Return what there is so far, and what stands behind the finished stages."""
    from pipeline.evaluation import load_arrays
    from pipeline.reporting import SoFar
    from pipeline.tuning import front_of

    done, gone = finished()
    live = study_so_far(config, done["prepare"].digests[FIT.as_posix()]) if "prepare" in done else None
    if live is not None and "search" in done:
        ended = read_record(SearchRecord, _RECORDS["search"])
        if ended.study == live.study and len(live.trials) <= len(ended.trials):
            live = None
    if live is not None:
        done, gone = finished(("search",))
        gone["search"] = f"search: {len(live.trials)} trials so far, not its end; `python -m pipeline.search` goes on"
    found = SoFar(gone=tuple(gone.values()))
    if "prepare" in done:
        found = replace(found, card=read_record(DatasetCard, _RECORDS["prepare"]))
    if live is not None:
        found = replace(found, search=live, front=front_of(live))
    elif "search" in done:
        found = replace(
            found,
            search=read_record(SearchRecord, _RECORDS["search"]),
            front=read_record(FrontRecord, SEARCH / "front.json"),
            ensemble=read_record(EnsembleRecord, SEARCH / "ensemble.json"),
        )
    if "train" in done:
        found = replace(found, model=read_record(ModelCard, _RECORDS["train"]))
    if "evaluate" in done:
        found = replace(
            found,
            scores=read_record(Scores, _RECORDS["evaluate"]),
            robustness=read_record(RobustnessRecord, EVALUATE / "robustness.json"),
        )
    if "interpret" in done:
        found = replace(
            found,
            explanations=read_record(Explanations, _RECORDS["interpret"]),
            attributions=load_arrays(INTERPRET / "attributions.npz"),
        )
    if "fairness" in done:
        found = replace(found, fairness=read_record(FairnessRecord, _RECORDS["fairness"]))
    return found, list(done.values())


def run(config: Mapping[str, Any]) -> None:
    """Write partial.json and partial.html."""
    from pipeline.reporting import partial_document, render

    found, behind = gathered(config)
    write_json(DOCUMENT, partial_document(slice_for("report", ReportSlice, config).report, found, behind))
    write_bytes(PAGE, render(read_json(DOCUMENT)).encode())
    for line in found.gone:
        log.info("not assessed: %s", line)
    log.info("%s, %.0f kB", PAGE, PAGE.stat().st_size / 1000)


if __name__ == "__main__":
    sys.exit(launch("report", [a for a in sys.argv[1:] if a != "partial=true"], run))

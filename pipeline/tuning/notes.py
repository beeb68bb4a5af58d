"""What optuna-dashboard shows of a study beside numbers: the name of the score, and a note of each trial in words.

The dashboard keeps notes as system attributes of the study (its module _note), the objective's name as Optuna does.
They are written here directly: a search does not need the dashboard, and importing it takes longer than a
short trial.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import optuna

from pipeline.core.bounds import violation_words
from pipeline.core.contracts import TASKS, Optimizer, SearchRecord, Task
from pipeline.tuning.study import keep_attributes

if TYPE_CHECKING:
    from pipeline.tuning.row import Row

_MOST = 2045
"""Characters of one attribute: what the dashboard would cut a note into; longer notes lose the start of a traceback."""
_TRACEBACK_LINES = 12


def save_note(study: optuna.Study, trial: int | None, text: str, version: int = 1) -> None:
    """Keep a note (Markdown) of a trial by its id in the database, or of the study; a later version replaces it."""
    where = "dashboard:" if trial is None else f"dashboard:{trial}:"
    keep_attributes(study, None, kept={f"{where}note_ver": version, f"{where}note_str:0": text[:_MOST]})


def name_objectives(study: optuna.Study, task: Task, others: Sequence[str] = ()) -> None:
    """Name what the study minimises, as Study.set_metric_names does, which warns of being experimental."""
    names = [f"{_said(TASKS[task].score)} on validation", *map(_said, others)]
    if study._storage.get_study_system_attrs(study._study_id).get("study:metric_names") != names:
        study._storage.set_study_system_attr(study._study_id, "study:metric_names", names)


def study_note(record: SearchRecord, lines: Sequence[str]) -> str:
    """Return the outcome of a search in words: the dashboard's best trial has the lowest score, and may not be it."""
    chosen = record.trial(record.best)
    head = [f"**Handed on: trial {chosen.number}** ({chosen.candidate.architecture['kind']})"]
    return "\n".join([*head, "", *(f"* {note}" for note in record.notes), "", *(f"    {line}" for line in lines)])


def trial_note(row: "Row", task: Task) -> str:
    """Return a trial in words: what it is, what it took, how good it is, and why it failed."""
    architecture = row.candidate.architecture
    text = "\n".join(
        [
            f"**{architecture['kind']}** (origin: {_said(row.origin)})",
            "",
            f"* architecture: {architecture_words(architecture)}",
            f"* training: {training_words(row.candidate.optimizer)}",
            *(f"* {line}" for line in _result_lines(row, task)),
        ]
    )
    if row.outcome is None or not row.failed:
        return text
    end = "\n".join(f"    {line}" for line in (row.outcome.traceback or "").splitlines()[-_TRACEBACK_LINES:])
    head = f"{text}\n\n**Failed: {row.outcome.error}**\n\n"
    return head + end[-max(1, _MOST - len(head)) :]


def _result_lines(row: "Row", task: Task) -> Iterator[str]:
    outcome = row.outcome
    if outcome is None:
        return
    work = f", {outcome.multiply_adds:,} multiply-adds a row" if outcome.multiply_adds is not None else ""
    if outcome.parameters is not None:
        yield f"{outcome.parameters:,} weights{work}"
    yield f"{outcome.passes:.3g} passes over the training rows in {outcome.seconds:.1f} s"
    if outcome.parts > 1:
        yield f"the rows of a step went through the network in {outcome.parts} parts, so that they fit memory"
    if row.last_score is None:
        return
    score, quality = _said(TASKS[task].score), _said(TASKS[task].quality)
    share = "" if row.complete else f", stopped after {100 * outcome.curve[-1][0]:.2g} % of its budget"
    yield f"{score} {row.last_score:.4f}, {quality} {outcome.quality:.4f} on validation{share}"
    if outcome.reserve_score is not None:
        yield f"{score} {outcome.reserve_score:.4f} on the reserve"
    if row.excess:
        yield violation_words(row.amounts)
    if again := [f"{r.curve[-1][1]:.4f}" for r in row.repeats if r.repeat in row.seeds]:
        yield f"again with fresh seeds: {', '.join(again)}"
    if row.folds:
        yield f"on folds of the training rows: {', '.join(f'{score:.4f}' for score in row.folds)}"


def architecture_words(architecture: Mapping[str, Any]) -> str:
    """Return the fields of an architecture in one line."""
    return ", ".join(f"{_said(name)} {_value(value)}" for name, value in architecture.items() if name != "kind")


def training_words(optimizer: Optimizer) -> str:
    """Return the optimiser and what differs from its defaults."""
    usual = asdict(Optimizer(kind=optimizer.kind))
    always = ("lr", "batch_size")
    told = {k: v for k, v in asdict(optimizer).items() if k != "kind" and (k in always or v != usual[k])}
    return f"{optimizer.kind}, " + ", ".join(f"{_said(name)} {_value(value)}" for name, value in told.items())


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{_said(name)} {_value(sub)}" for name, sub in value.items())
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(sub) for sub in value)}]"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _said(name: str) -> str:
    return {"r2": "R²", "lr": "learning rate", "muon_lr": "learning rate of Muon"}.get(name, name.replace("_", " "))

"""What was said of the test rows, judged again by the functions that evaluate, interpret and fairness call."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import TASKS, Alternative, MethodCheck, Number
from pipeline.core.errors import ArtifactError
from pipeline.core.seeds import stream
from pipeline.core.settings import EvaluateSlice, FairnessSlice, InterpretSlice
from pipeline.core.store import EVALUATE, INTERPRET, REPORTS, TRAIN, read_json
from pipeline.core.strict import plain
from pipeline.evaluate import flat_metrics, predicted_quantile
from pipeline.evaluation import (
    Judge,
    Said,
    amounts_on_test,
    constraint_checks,
    ensemble,
    exact_amounts,
    judge_for,
    load_arrays,
    load_row_errors,
    mixed_ensemble,
    reliance,
    single_network,
)
from pipeline.fairness import audited
from pipeline.grouping.beside import beside_of
from pipeline.interpret import explained_rows
from pipeline.reporting import Records
from pipeline.scorecard import agreement, border_share, check, class_words, importance, permuted_parts
from pipeline.tracing.comparing import Part, compared, joined
from pipeline.tracing.recomputing import Behind, settings_of
from pipeline.training.held_out import load_held_out
from pipeline.training.weights import load_model
from pipeline.worth import DEFAULT_NAME, DISTILLED_NAME, about_search, averaged, distilled, retold


def evaluate_part(records: Records, said: Said, behind: Behind) -> Part:
    """Judge all stored predictions again: metrics, intervals, details, baselines, ensembles, bounds."""
    slice_, scores = settings_of(behind, "evaluate", EvaluateSlice), records.scores
    judge = judge_for(records.card, slice_.evaluate, slice_.seed, said.y, said.rows, said.x,
                      predicted_quantile(records.model))  # fmt: skip
    metrics = judge.metrics(said.p, "")
    others = retold(records.model, said.p, _all_said(records, said))
    known = said.p, metrics, scores.baselines
    again = {
        "headline": TASKS[records.card.task].headline,
        "metrics": metrics,
        "baselines": [_baseline(judge, said, baseline.name) for baseline in scores.baselines],
        "front": list(_front(records, judge, said, metrics)),
        "constraints": _bounds(records, said, metrics, slice_.evaluate.level),
        **judge.details(said.p),
        **reliance(records.card, slice_.evaluate, slice_.seed, judge, load_held_out(TRAIN),
                   float(load_model(TRAIN)[0].temperature), (said.y, said.p)),
        **about_search(others, judge, slice_.evaluate, (records.card, records.model, records.search), known,
                       said.rows["row_id"]),
    }  # fmt: skip
    flat = {name: float(value) for name, value in read_json(REPORTS / "metrics.json").items()}
    return joined(
        "evaluate",
        compared("evaluate", scores, again),
        compared("evaluate", flat, flat_metrics(scores), f"/{REPORTS / 'metrics.json'}"),
    )


def _baseline(judge: Judge, said: Said, name: str) -> dict[str, Any]:
    q = _said_by(said, name)
    return {"name": name, "metrics": judge.metrics(q, name), "gain": judge.gain(said.p, q, name)}


def _all_said(records: Records, said: Said) -> dict[str, NDArray[np.float64]]:
    """Return what the other trainings of train said; all of it must be there."""
    model = records.model
    names = [of.name for of in model.seeds[1:]] + ([DEFAULT_NAME] if model.default is not None else [])
    names += [DISTILLED_NAME] if model.distilled is not None else []
    return {name: _said_by(said, name) for name in names}


def _said_by(said: Said, name: str) -> NDArray[np.float64]:
    if name not in said.others:
        raise ArtifactError(f"{EVALUATE / 'others.npz'}: no predictions of {name}", fix="run `dvc repro evaluate`")
    return said.others[name]


def _front(records: Records, judge: Judge, said: Said, metrics: Mapping[str, Number]) -> Iterator[Alternative]:
    record = records.ensemble
    for other in records.scores.front:
        if other.name == "single network":
            yield single_network(records.model, metrics)
        elif other.name == "ensemble":
            yield ensemble(record.members, judge, said.p, _said_by(said, other.name))
        elif other.name == "averaged seeds":
            yield from averaged(retold(records.model, said.p, _all_said(records, said)), records.model, judge, said.p)
        elif other.name == "distilled":
            yield from distilled(retold(records.model, said.p, _all_said(records, said)), records.model, judge, said.p)
        elif record.mixed is not None:
            q = _said_by(said, other.name)
            yield mixed_ensemble(record.mixed.members, record.mixed.chosen, judge, said.p, q)


def _bounds(records: Records, said: Said, metrics: Mapping[str, Number], level: float) -> list[dict[str, Any]]:
    """Return the checks of all bounds; of a measured latency all but the amount, which is taken as reported."""
    names = records.search.constraints
    amounts = exact_amounts(records.model) | amounts_on_test(
        names, records.card, said.rows, said.y, said.p, metrics, level
    )
    measured = {c.name: c.test for c in records.scores.constraints if c.name not in amounts}
    found = plain(list(constraint_checks(records.search, amounts | measured)))
    return [{k: v for k, v in item.items() if k != "test" or item["name"] not in measured} for item in found]


def interpret_part(records: Records, said: Said, behind: Behind) -> Part:
    """Choose the explained rows again, and judge the stored maps and curves."""
    from pipeline.attribution import choose_rows, subject_of

    slice_, card, told = settings_of(behind, "interpret", InterpretSlice), records.card, records.explanations
    maps, kept = records.attributions, load_arrays(INTERPRET / "checks.npz")
    subject = subject_of(card, said.y, said.p)
    picked = choose_rows(subject, len(told.rows), stream(slice_.seed, "interpret", "rows"))  # as there was time for
    found = {m.method: maps[m.method] for m in told.methods}
    again = {
        "target": subject.words,
        "rows": explained_rows(subject, picked, said.rows["row_id"]),
        "methods": [_method(m, kept) for m in told.methods],
        "importance": {method: importance(card.inputs, maps["inputs"], values) for method, values in found.items()},
        "agreement": agreement(found),
        "permuted": permuted_parts([(part.name, part.members) for part in told.permuted], kept["permuted"]),
        "border": {method: border_share(found[method]) for method in told.border},
    }
    if "words.x" in kept:
        again["words"] = class_words(card, kept["words.x"], kept["words.values"], kept["words.said"])
    return compared("interpret", told, again)


def _method(told: MethodCheck, kept: Mapping[str, NDArray[Any]]) -> MethodCheck:
    """Judge a method again; why a check was left out is taken as told."""
    own = f"{told.method}."
    evidence = {name.removeprefix(own): values for name, values in kept.items() if name.startswith(own)}
    looked = {"randomised": told.randomised, "other_baseline": told.other_baseline, "sensitivity": told.sensitivity}
    gone = {name: number.reason or "" for name, number in looked.items()}
    return check(told.method, told.baseline, told.promises_completeness, evidence, gone)


def fairness_part(records: Records, said: Said, behind: Behind) -> Part:
    """Compare the groups of the stored predictions again."""
    errors = load_row_errors(EVALUATE)
    beside = beside_of(records.card, records.scores, load_held_out(TRAIN), said.others, errors)
    again = plain(audited(records.card, said.rows, settings_of(behind, "fairness", FairnessSlice), beside))
    assert isinstance(again, dict)
    again.pop("proxies")
    return compared("fairness", records.fairness, again)

"""weights + test split → predictions, scores with intervals, baselines and the search's ensemble on the same rows.

Then the same rows made worse, attacked, and set beside rows of another kind.

With `interpret`, the only stage that may open artifacts/prepare/test.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.core.contracts import (
    TASKS,
    Alternative,
    BaselineScores,
    ConstraintCheck,
    DatasetCard,
    ImageInputs,
    ModelCard,
    Number,
    Scores,
    SearchRecord,
    TableInputs,
)
from pipeline.core.settings import EvaluateSettings, EvaluateSlice
from pipeline.core.store import EVALUATE, FIT, REPORTS, SEARCH, TEST, TRAIN, fresh_folder, read_record, write_json
from pipeline.stage import run_stage

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from torch import nn

    from pipeline.core.contracts import Inputs
    from pipeline.datasets import Split
    from pipeline.evaluation import Judge, Said
    from pipeline.robustness import Choice
    from pipeline.training.data import Rows

    Predictions = NDArray[np.float64]

log = logging.getLogger("pipeline.evaluate")


def baseline_scores(
    settings: EvaluateSettings,
    judge: "Judge",
    train: "tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, str]",
    test_x: "NDArray[Any]",
    p: "NDArray[np.float64]",
    headline: str,
    kept: "dict[str, Predictions]",
) -> tuple[BaselineScores, ...]:
    """Fit each declared baseline on training rows and pair it with the network's predictions `p`.

    `train` are x, y, how much each row counts, and words on which rows they are; predictions go into `kept` by name.
    """
    x, y, weight, fitted_on = train
    found = []
    for kind in settings.baselines:
        baseline = judge.baseline(kind, (x, y), test_x, weight)
        if baseline is None:
            continue
        name, q = baseline
        kept[name] = q
        metrics, gain = judge.metrics(q, name), judge.gain(p, q, name)
        log.info("baseline %s: %s %s", name.replace("_", " "), headline.replace("_", " "), shown(metrics[headline]))
        found.append(BaselineScores(name=name, fitted_on=fitted_on, metrics=metrics, gain=gain))
    return tuple(found)


def shown(number: Number) -> str:
    """Return the value with four digits, or why there is none."""
    return f"undefined ({number.reason})" if number.value is None else f"{number.value:.4f}"


def baseline_rows(
    settings: EvaluateSettings, split: "Split", inputs: "Inputs", seed: int
) -> "tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, str]":
    """Return the training rows baselines are fitted on (x, y), how much each counts, and how many they are."""
    from pipeline.baselines import subsample
    from pipeline.training.data import rows_at

    size = inputs.channels * inputs.height * inputs.width if isinstance(inputs, ImageInputs) else 1
    most = min(settings.baseline_rows, max(200, settings.baseline_pixels // size))
    picked = subsample(split.y, most, seed, split.weight)
    words = f"{len(picked):,} of {len(split.y):,} training rows" + ("" if split.weight is None else ", weighted")
    return *rows_at(split.x, split.y, inputs, picked), None if split.weight is None else split.weight[picked], words


def alternatives(
    card: DatasetCard, judge: "Judge", rows: "Rows", test: "Split", p: "Predictions", kept: "dict[str, Predictions]"
) -> "Iterator[Alternative]":
    """Return the ensembles of the search beside the single network's predictions `p` of the test rows.

    One of networks alone where there are several, and one with simple models, which are fitted again, where it has any.
    What they predict goes into `kept` by name.
    """
    from pipeline.evaluation import ensemble, mixed_ensemble
    from pipeline.training.data import Arrays, load_data
    from pipeline.training.heads import head_for
    from pipeline.training.members import load_ensemble, load_members, predict_ensemble
    from pipeline.training.simple import predict_simple

    head = head_for(card.task, card.inputs, card.targets)
    record, networks = load_ensemble(SEARCH, card.inputs, card.outputs)
    if len(networks) > 1:
        kept["ensemble"] = q = predict_ensemble(networks, [member.share for member in record.members], rows, head)
        yield ensemble(record.members, judge, p, q)
    if record.mixed is None or not record.mixed.chosen:
        return
    members = record.mixed.members
    simple = predict_simple(SEARCH, record, load_data(card, FIT), Arrays(test.x, test.y))
    parts = [member.share * said for member, said in simple]
    if members:
        networks = load_members(SEARCH, members, card.inputs, card.outputs)
        parts.append(predict_ensemble(networks, [member.share for member in members], rows, head))
    kept["mixed ensemble"] = q = sum(parts[1:], start=parts[0])
    yield mixed_ensemble(members, [member for member, _ in simple], judge, p, q)


def parts_words(other: Alternative) -> str:
    """Say what an ensemble is made of; what is no network is named as that."""
    simple = [f"{name.replace('_', ' ')} (not a network, share {share:.2f})" for name, share in other.simple]
    networks = [f"{other.networks} network{'s' * (other.networks != 1)}"] if other.networks or not simple else []
    return " and ".join(networks + simple)


def log_constraints(search: SearchRecord, checks: Sequence[ConstraintCheck]) -> None:
    """Say which bounds hold, and first that the search found no model that keeps them."""
    from pipeline.core.bounds import amount_words, violation_words

    if search.feasible is False:
        best = search.trial(search.best)
        log.info("no feasible model: the closest, trial %d, has %s", best.number, violation_words(best.amounts))
    for check in checks:
        found = shown(check.test) if check.test.value is None else amount_words(check.test.value)
        log.info("%s %s, at most %s: %s", check.name, found, amount_words(check.bound), check.verdict)


def predicted_quantile(model: ModelCard) -> float | None:
    """Return which quantile the network was trained to predict, None where it was not."""
    how = model.candidate.optimizer
    return how.quantile if how.loss == "quantile" else None


def write_robustness(
    folder: "Path",
    settings: EvaluateSlice,
    card: DatasetCard,
    model: "tuple[nn.Module, ModelCard]",
    test: "Split",
    choice: "Choice",
) -> None:
    """Write robustness.json, how the network does on worse, attacked and foreign rows, and row_errors.npz; say it."""
    from pipeline.evaluation import store_row_errors
    from pipeline.robustness import Examined, assess, told

    network, about = model
    examined = Examined(network, about.familiarity_floor, card, test, settings.evaluate, settings.seed)
    errors: dict[str, NDArray[Any]] = {}
    record = assess(examined, choice, errors)
    for line in told(record):
        log.info("%s", line)
    write_json(folder / "robustness.json", record)
    store_row_errors(folder, errors)


def predictions_table(card: DatasetCard, test: "Split", columns: Mapping[str, Any]) -> "pd.DataFrame":
    """Return one row per test row: id, what the judge lists, audit groups, the number of its person, table columns."""
    import pandas as pd

    groups = {name: test.rows[name] for name in test.rows.columns if str(name).startswith("audit.")}
    if card.unit is not None:
        groups["unit"] = pd.Series(pd.factorize(test.rows[f"raw.{card.unit}"])[0])
    if isinstance(card.inputs, TableInputs):
        groups |= {f"property.{column.name}": test.rows[f"raw.{column.name}"] for column in card.inputs.columns}
    return pd.DataFrame({"row_id": test.rows["row_id"], **columns, **groups})


def flat_metrics(scores: Scores) -> Mapping[str, float]:
    """Return {name: value} for `dvc metrics` and `dvc exp show`."""
    flat = {name: number.value for name, number in scores.metrics.items() if number.value is not None}
    others = [(baseline.name, baseline.metrics) for baseline in scores.baselines]
    others += [(other.name.replace(" ", "_"), other.metrics) for other in scores.front[1:]]
    others += [(scores.default.name, scores.default.metrics)] if scores.default is not None else []
    found = [(name, metrics[scores.headline].value) for name, metrics in others]
    if scores.seeds is not None:
        found += [("seeds_mean", scores.seeds.mean.value), ("seeds_deviation", scores.seeds.deviation.value)]
    for name, value in found:
        if value is not None:
            flat[f"{name}_{scores.headline}"] = value
    return flat


def keep_said(folder: "Path", card: DatasetCard, scores: Scores, said: "Said") -> None:
    """Write what was predicted, and what `dvc plots` draws of it."""
    from pipeline.evaluation import store_predictions, write_plots

    store_predictions(folder, card, said)
    write_plots(folder, card, scores, said)


def tell(scores: Scores, search: SearchRecord) -> None:
    """Say what was found of everything beside the single network."""
    for other in scores.front[1:]:
        log.info("%s of %s: %s %s, %s", other.name, parts_words(other), scores.headline.replace("_", " "),
                 shown(other.metrics[scores.headline]), other.verdict)  # fmt: skip
    log_constraints(search, scores.constraints)
    if (sets := scores.conformal) is not None:
        log.info("%s that promise %.4g: coverage %s, %s", sets.kind, sets.promised, shown(sets.coverage),
                 sets.verdict.replace("_", " "))  # fmt: skip
    for sentence in scores.worth.sentences if scores.worth is not None else ():
        log.info("%s", sentence)


def run(settings: EvaluateSlice) -> None:
    """Read the weights and the test split, write all predictions, scores.json, robustness.json and metrics.json."""
    import torch

    from pipeline.datasets import load_split
    from pipeline.evaluation import (
        Said,
        amounts_on_test,
        constraint_checks,
        cut_of,
        exact_amounts,
        judge_for,
        reliance,
        single_network,
    )
    from pipeline.robustness import chosen_in
    from pipeline.training.data import Rows
    from pipeline.training.heads import head_for
    from pipeline.training.held_out import load_held_out
    from pipeline.training.predict import predict
    from pipeline.training.timing import bounded_latency, latency
    from pipeline.training.weights import load_model
    from pipeline.worth import about_search, averaged, distilled, retrained

    chosen, seed = settings.evaluate, settings.seed
    card = read_record(DatasetCard, FIT / "dataset.json")
    search = read_record(SearchRecord, SEARCH / "search.json")
    (network, model), held = load_model(TRAIN), load_held_out(TRAIN)
    cut_of(card, chosen, held[0])  # what cannot be is refused before the test rows are opened
    choice = chosen_in(FIT, chosen, card, seed)
    test = load_split(TEST, "test")
    rows, head = Rows(test.x, test.y, card.inputs, "cpu"), head_for(card.task, card.inputs, card.targets)
    p = predict(network, rows, head)
    x, y = (part.numpy() for part in rows.take(torch.arange(len(rows))))
    judge = judge_for(card, chosen, seed, y, test.rows, x, predicted_quantile(model))
    metrics, headline = judge.metrics(p, ""), TASKS[card.task].headline
    log.info("test %s %s on %s rows", headline.replace("_", " "), shown(metrics[headline]), f"{len(y):,}")

    others = retrained(TRAIN, model, search, rows, head, p)
    kept: dict[str, Predictions] = others.said()
    front = (single_network(model, metrics), *alternatives(card, judge, rows, test, p, kept),
             *averaged(others, model, judge, p), *distilled(others, model, judge, p))  # fmt: skip
    amounts = exact_amounts(model) | amounts_on_test(search.constraints, card, test.rows, y, p, metrics, chosen.level)
    if "latency_ms" in search.constraints:
        amounts["latency_ms"] = bounded_latency(model, search.latency_batch, network, x)
    train = baseline_rows(chosen, load_split(FIT, "train"), card.inputs, seed)
    baselines = baseline_scores(chosen, judge, train, x, p, headline, kept)
    scores = Scores(
        headline=headline,
        metrics=metrics,
        baselines=baselines,
        front=front,
        constraints=constraint_checks(search, amounts),
        latency_ms=latency(network, x[:1]),
        **judge.details(p),
        **reliance(card, chosen, seed, judge, held, float(network.temperature), (y, p)),
        **about_search(others, judge, chosen, (card, model, search), (p, metrics, baselines), test.rows["row_id"]),
    )
    tell(scores, search)
    with fresh_folder(EVALUATE) as folder:
        keep_said(folder, card, scores, Said(y, p, x, predictions_table(card, test, judge.table(p)), kept))
        write_json(folder / "scores.json", scores)
        write_robustness(folder, settings, card, (network, model), test, choice)
    write_json(REPORTS / "metrics.json", flat_metrics(scores))


if __name__ == "__main__":
    run_stage("evaluate", EvaluateSlice, run)

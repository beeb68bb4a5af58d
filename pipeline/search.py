"""Search space + train and val rows + budget → all trials, the best candidate, and an ensemble of kept trials.

The study lives under state/ and is named by a digest of all its inputs but the budget: the same inputs continue it,
others start another, a finished one is only exported again.
"""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.core.contracts import Best, DatasetCard, SearchRecord
from pipeline.core.settings import SearchSlice
from pipeline.core.store import (
    FIT,
    SEARCH,
    code_digest,
    digest_of,
    fresh_folder,
    read_record,
    sha256_folder,
    write_json,
)
from pipeline.core.strict import plain
from pipeline.stage import run_stage, state_folder

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger("pipeline.search")

_CODE = ("core", "metrics", "models", "space", "training", "tuning")


def study_name(settings: SearchSlice, data_digest: str) -> str:
    """Return the name that all inputs of a study share, whatever its budget."""
    inputs = plain(settings)
    for budget in ("n_trials", "seconds", "energy_wh", "storage", "repeats", "workers", "silence", "keep", "disk_mb"):
        inputs["search"].pop(budget)
    return f"search-{digest_of({'settings': inputs, 'data': data_digest, 'code': code_digest(*_CODE)})[:12]}"


def trials_table(record: SearchRecord) -> "pd.DataFrame":
    """Return one row per trial; candidates and amounts are spread over columns by their dotted names.

    A column with words beside other values (`auto` beside 64) holds them all as text: in Parquet it has one type.
    """
    import pandas as pd

    rows = []
    for trial in record.trials:
        row = plain(trial)
        candidate = row.pop("candidate")
        row["curve"] = [list(point) for point in trial.curve]
        row |= {f"amounts.{name}": amount for name, (amount, _) in row.pop("amounts").items()}
        rows.append(row | spread(candidate))
    names = dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[object]) -> list[object]:
    """Return the values, or where Parquet has no one type for them, words as they stand and the rest as JSON."""
    import pyarrow as pa

    try:
        pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return [value if value is None or isinstance(value, str) else json.dumps(value) for value in values]
    return values


def spread(node: object, path: str = "") -> dict[str, object]:
    """Return {dotted name: value}; blocks of a repeat are numbered, plain lists stay lists."""
    dot = f"{path}." if path else ""
    if isinstance(node, Mapping):
        return {name: value for key, sub in node.items() for name, value in spread(sub, f"{dot}{key}").items()}
    if isinstance(node, list) and node and all(isinstance(block, Mapping | list) for block in node):
        return {name: value for i, block in enumerate(node) for name, value in spread(block, f"{dot}{i}").items()}
    return {path: node}


def run(settings: SearchSlice) -> None:
    """Run or continue the study, write search.json, best.json, trials.parquet and ensemble.json with its members."""
    from pipeline.space import parse

    space = parse(settings.space)
    card = read_record(DatasetCard, FIT / "dataset.json")

    from pipeline.training.data import load_data
    from pipeline.tuning import Problem, Search, hand_over, only_one, open_keeper, open_study, shown_url, storage_url

    problem = Problem(load_data(card, FIT), settings.search, settings.trainer, settings.seed)
    name, state = study_name(settings, sha256_folder(FIT)), state_folder()
    log.info("study %s · watch it with: optuna-dashboard %s", name, shown_url(settings.search.storage))
    with only_one(state, name):
        study = open_study(name, storage_url(settings.search.storage, state))
        keeper = open_keeper(state, name, settings.search.keep)
        search = Search(problem, space, study, state / name)
        search.run(keeper.keep_fit)
        record = search.export(shown_url(settings.search.storage))
        for line in search.summary(record):
            log.info("%s", line)
        best = record.trials[record.best]
        assert best.score is not None
        with fresh_folder(SEARCH) as folder:
            write_json(folder / "search.json", record)
            handed_on = Best(number=best.number, score=best.score, candidate=best.candidate, feasible=record.feasible)
            write_json(folder / "best.json", handed_on)
            trials_table(record).to_parquet(folder / "trials.parquet", index=False)
            ensemble = hand_over(folder, problem, record, keeper)
    for note in (*record.notes, *ensemble.notes):
        log.info("note: %s", note)
    if ensemble.score is not None and len(ensemble.members) > 1:
        again = {0: ""} | {m.repeat: f" seed {m.repeat}" for m in ensemble.members if m.repeat}
        shown = ", ".join(f"{m.share:.0%} trial {m.number}{again[m.repeat]}" for m in ensemble.members)
        log.info("ensemble: %s; score %.4f on %s rows, trial %d alone %.4f",
                 shown, ensemble.score, f"{ensemble.rows:,}", ensemble.single, ensemble.single_score)  # fmt: skip
    log.info("handed on: trial %d of %d, score %.4f", best.number, len(record.trials), best.score)


if __name__ == "__main__":
    run_stage("search", SearchSlice, run)

"""Search space + train and val rows + budget → all trials, the best candidate, and an ensemble of kept trials.

The study lives under state/ and is named by a digest of all its inputs but the budget: the same inputs continue it,
others start another, a finished one is only exported again.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipeline.core.contracts import Best, DatasetCard, Member, SearchRecord, SimpleMember
from pipeline.core.process import began
from pipeline.core.settings import SearchSlice
from pipeline.core.store import (
    FIT,
    SEARCH,
    SHOWN,
    code_digest,
    dashboard_command,
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

_CODE = ("baselines", "core", "metrics", "models", "space", "training", "tuning")


def study_name(settings: SearchSlice, data_digest: str) -> str:
    """Return the name that all inputs of a study share, whatever its budget and who trains the winner."""
    inputs = plain(settings)
    for budget in ("n_trials", "seconds", "energy_wh", "storage", "repeats", "workers", "silence", "keep", "members",
                   "member_rows", "disk_mb"):  # fmt: skip
        inputs["search"].pop(budget)
    for of_final in ("devices", "nodes"):
        inputs["trainer"].pop(of_final)
    return f"search-{digest_of({'settings': inputs, 'data': data_digest, 'code': code_digest(*_CODE)})[:12]}"


def trials_table(record: SearchRecord) -> "pd.DataFrame":
    """Return one row per trial; candidates, amounts and objectives are spread over columns by their dotted names.

    A column with words beside other values (`auto` beside 64) holds them all as text: in Parquet it has one type.
    """
    import pandas as pd

    rows = []
    for trial in record.trials:
        row = plain(trial)
        candidate = row.pop("candidate")
        row["curve"] = [list(point) for point in trial.curve]
        row |= {f"amounts.{name}": amount for name, (amount, _) in row.pop("amounts").items()}
        row |= {f"gaps.{name}": gap["value"] for name, gap in row.pop("gaps").items()}
        row |= {f"objectives.{name}": amount for name, amount in row.pop("objectives").items()}
        row |= spread(row.pop("policy") or {}, "policy")
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


def shares_words(members: Sequence[Member | SimpleMember]) -> str:
    """Say who is in an ensemble and how much each counts."""
    from pipeline.training.simple import readable_name

    return ", ".join(
        f"{m.share:.0%} " + (f"trial {m.number}" + f" seed {m.repeat}" * bool(m.repeat) if isinstance(m, Member)
                             else readable_name(m.name))
        for m in members
    )  # fmt: skip


def run(settings: SearchSlice) -> None:
    """Run or continue the study, write search, best, front, ensemble as JSON, trials and losses as tables, members."""
    from pipeline.space import parse

    space = parse(settings.space)
    card = read_record(DatasetCard, FIT / "dataset.json")

    from pipeline.training.data import load_data
    from pipeline.tuning import (
        About,
        Fits,
        Problem,
        Search,
        front_of,
        front_words,
        hand_over,
        look_back,
        losses_table,
        only_one,
        open_keeper,
        open_study,
        refusals,
        show_weights,
        shown_url,
        storage_url,
    )

    problem = Problem(load_data(card, FIT), settings.search, settings.trainer, settings.seed,
                      objective=settings.objective)  # fmt: skip
    about = About(data=card.name, task=card.task, objectives=settings.objective.minimise, seed=settings.seed,
                  space=digest_of(settings.space), rows=sha256_folder(FIT))  # fmt: skip
    name, state = study_name(settings, about.rows), state_folder()
    log.info("study %s · watch it with: %s", name, dashboard_command(shown_url(settings.search.storage)))
    with only_one(state, name) as waited, refusals():
        study = open_study(name, storage_url(settings.search.storage, state), len(settings.objective.minimise))
        keeper = open_keeper(state, name, settings.search.keep)
        fits = Fits(problem, keeper.folder)
        wanted = settings.search.reuse and settings.search.strategy == "engine"
        look_back(study, about, space, FIT, state, wanted=wanted)
        search = Search(problem, space, study, state / name, None if waited else began())
        search.run(keeper.keep_fit, fits)
        show_weights(study, keeper, state / SHOWN)
        record = search.export(shown_url(settings.search.storage))
        for line in search.summary(record):
            log.info("%s", line)
        best = record.trial(record.best)
        assert best.score is not None
        with fresh_folder(SEARCH) as folder:
            write_json(folder / "search.json", record)
            handed_on = Best(number=best.number, score=best.score, candidate=best.candidate, policy=best.policy,
                             feasible=record.feasible)  # fmt: skip
            write_json(folder / "best.json", handed_on)
            write_json(folder / "front.json", front := front_of(record))
            trials_table(record).to_parquet(folder / "trials.parquet", index=False)
            if record.against_default:
                losses_table(record.against_default, state / name).to_parquet(folder / "losses.parquet", index=False)
            ensemble = hand_over(folder, problem, record, keeper, fits)
    if front.declared and front.members:
        log.info("%s", front_words(front))
    for note in (*record.notes, *ensemble.notes):
        log.info("note: %s", note)
    if ensemble.score is not None and len(ensemble.members) > 1:
        log.info("ensemble: %s; score %.4f on %s rows, trial %d alone %.4f", shares_words(ensemble.members),
                 ensemble.score, f"{ensemble.rows:,}", ensemble.single, ensemble.single_score)  # fmt: skip
    if ensemble.mixed is not None and ensemble.mixed.chosen:
        log.info("with simple models: %s; score %.4f on the same rows",
                 shares_words((*ensemble.mixed.chosen, *ensemble.mixed.members)), ensemble.mixed.score)  # fmt: skip
    log.info("handed on: trial %d of %d, score %.4f", best.number, len(record.trials), best.score)


if __name__ == "__main__":
    run_stage("search", SearchSlice, run)

"""What was counted and chosen before any test row was judged, once more, by the functions that the stages call."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import AgainstDefault, Best, DatasetCard, Member, Provenance
from pipeline.core.errors import ArtifactError
from pipeline.core.settings import TrainSlice
from pipeline.core.store import FIT, PROVENANCE, SEARCH, missing, read_record
from pipeline.core.strict import plain
from pipeline.datasets.labels import Labels
from pipeline.evaluation import Said
from pipeline.reporting import Records
from pipeline.search import trials_table
from pipeline.stage import slice_for
from pipeline.tracing.comparing import Part, compared, joined

S = TypeVar("S")
Behind = Mapping[str, Provenance]
"""What stands behind each stage, by its name."""


def settings_of(behind: Behind, stage: str, kind: type[S]) -> S:
    """Return the settings a stage ran with; without them nothing of it can be computed again."""
    if not behind[stage].recorded:
        raise ArtifactError(
            f"{PROVENANCE / stage}.json: nothing is recorded of the files that lie there",
            fix=f"run `dvc repro {stage}`",
        )
    return slice_for(stage, kind, behind[stage].params)


def data_part(card: DatasetCard, said: Said) -> Part:
    """Count rows and classes; of the test split in the stored predictions, the rows themselves stay sealed."""
    y: dict[Any, NDArray[Any]] = {split: said.y if split == "test" else _array(f"{split}_y") for split in card.rows}
    labels = Labels(card.task, card.classes, tuple(target.name for target in card.targets), np.empty(0))
    again: dict[str, Any] = {
        "rows": {split: len(values) for split, values in y.items()},
        "class_rows": labels.counts(y),
    }
    if card.task == "regression":
        weight = None if card.weight is None else _array("train_weight")
        again["targets"] = labels.targets(y["train"], weight)
    return compared("data", card, again)


def _array(name: str) -> NDArray[Any]:
    path = FIT / f"{name}.npy"
    if not path.exists():
        raise missing(path)
    return np.asarray(np.load(path, allow_pickle=False))


def search_part(records: Records) -> Part:
    """Compare the record with the table of trials, and choose again who is handed on and who is on the front."""
    from pipeline.training.folds import fold_rows
    from pipeline.tuning import chosen_of, front_of

    search, path = records.search, SEARCH / "trials.parquet"
    if not path.exists():
        raise missing(path)
    chosen = chosen_of(search.trials, search.objectives, search.against_default, search.reserve_share)
    again: dict[str, Any] = {"best": None if chosen is None else chosen.number}
    if not any(trial.repeats or trial.folds for trial in search.trials):  # their seconds stand nowhere else
        again["seconds"] = round(sum(trial.seconds for trial in search.trials), 3)
    rows = records.card.rows
    again["fold_rows"] = fold_rows(rows["train"], rows["val"]) if any(trial.folds for trial in search.trials) else 0
    again["reserve_share"] = rows["reserve"] / (rows["val"] + rows["reserve"]) if rows.get("reserve") else 0.0
    if search.against_default:
        again["against_default"] = _against_default(search.against_default)
    reported = {key: part for key, part in plain(search).items() if key != "trials"}
    winner = next(trial for trial in search.trials if trial.number == search.best)
    handed_on = {
        "number": winner.number,
        "score": winner.score,
        "candidate": plain(winner.candidate),
        "policy": plain(winner.policy),
        "feasible": search.feasible,
    }
    return joined(
        "search",
        compared("search", reported, again),
        compared("search", _cells(trials_table(search)), _cells(pd.read_parquet(path)), "/search/trials"),
        compared("search", records.front, front_of(search), "/search/front"),
        compared("search", records.ensemble, _ensemble(records), "/search/ensemble"),
        compared("search", plain(read_record(Best, SEARCH / "best.json")), handed_on, "/search/best"),
    )


def _against_default(compared: Sequence[AgainstDefault]) -> list[AgainstDefault | None]:
    from pipeline.tuning import row_by_row

    if not (path := SEARCH / "losses.parquet").exists():
        raise missing(path)
    losses = {str(name): column.to_numpy() for name, column in pd.read_parquet(path).items()}
    return [
        row_by_row((one.default, one.seeds[0]), (one.trial, one.seeds[1]), losses, one.reserve_rows) for one in compared
    ]


def _ensemble(records: Records) -> dict[str, Any]:
    """Return what the trials say of the ensembles' networks."""
    trials = {trial.number: trial for trial in records.search.trials}
    known = ("candidate", "parameters", "multiply_adds")

    def of_trials(members: Sequence[Member]) -> list[dict[str, Any]]:
        return [{name: plain(getattr(trials[member.number], name)) for name in known} for member in members]

    mixed = records.ensemble.mixed
    return {"members": of_trials(records.ensemble.members)} | (
        {} if mixed is None else {"mixed": {"members": of_trials(mixed.members)}}
    )


def _cells(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a table row by row, as plain data; what is missing in a row is left out."""
    rows = [{str(name): _plain_cell(row[name]) for name in table.columns} for _, row in table.iterrows()]
    return [{name: cell for name, cell in row.items() if cell is not None} for row in rows]


def _plain_cell(cell: Any) -> Any:
    if isinstance(cell, list | tuple | np.ndarray):
        return [_plain_cell(part) for part in cell]
    if isinstance(cell, Mapping):
        return {key: _plain_cell(part) for key, part in cell.items()}
    if cell is None or (isinstance(cell, float | np.floating) and np.isnan(cell)):
        return None
    return cell.item() if isinstance(cell, np.generic) else cell


def model_part(records: Records, behind: Behind) -> Part:
    """Build the winner's architecture again and count; nothing is trained."""
    from pipeline.models.anatomy import layers_of
    from pipeline.models.cost import cost_of
    from pipeline.training.budgets import rows_at_once
    from pipeline.training.card import as_built

    model, card = records.model, records.card
    cost = cost_of(model.candidate.architecture, model.inputs, model.outputs)
    best = read_record(Best, SEARCH / "best.json")
    slice_ = settings_of(behind, "train", TrainSlice)
    processes, policy = slice_.trainer.processes, best.policy
    needed = policy.parts if policy is not None and (policy.device == "cpu") == (model.device == "cpu") else 1
    parts = max(slice_.trainer.accumulate, needed)
    at_once = rows_at_once(best.candidate.optimizer, card.inputs, card.rows["train"], processes, parts)
    again = {
        "candidate": plain(as_built(best.candidate, card.inputs, card.outputs, card.rows["train"])),
        "outputs": card.outputs,
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "activation_mb": round(at_once * cost.activation_bytes / 1e6, 3),
        "processes": processes,
        "parts": parts,
        "seed": slice_.seed,
        "search_score": best.score,
        "layers": layers_of(model.candidate.architecture, model.inputs, model.outputs) if model.layers else (),
    }
    return compared("model", {k: v for k, v in plain(model).items() if k != "inputs"}, again)

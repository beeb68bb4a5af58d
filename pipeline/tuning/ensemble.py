"""The ensemble of a search: which trials predict best together, chosen from those whose weights were kept.

Legend: M members, N rows, K classes, labels or values.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.contracts import EnsembleRecord, Member, SearchRecord, TrialRecord
from pipeline.core.store import sha256_file, write_bytes, write_json
from pipeline.training.data import Data, Rows
from pipeline.training.device import choose_device
from pipeline.training.heads import head_for, softening
from pipeline.training.members import MEMBERS, load_trial, member_file, noted_temperature
from pipeline.training.predict import predict, targets_of
from pipeline.tuning.jobs import Problem
from pipeline.tuning.keeper import Keeper

_MOST_PICKS = 25
_LEAST_GAIN = 1e-9
"""More picks must lower the loss by this share of it: less is rounding, as when the only member is picked again."""
_SMALLEST = torch.finfo(torch.float64).tiny

Loss = Callable[[Tensor], float]
"""The search's score of predictions (N, K)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """How much each member counts, and what that is worth on the rows it was chosen on."""

    shares: tuple[float, ...]
    """(M,), sum 1."""
    score: float
    scores: tuple[float, ...]
    """(M,): of each alone."""

    @property
    def single(self) -> int:
        """The best alone, the earlier one on ties."""
        return self.scores.index(min(self.scores))


def select(p_MNK: Tensor, loss: Loss, most: int = _MOST_PICKS) -> Selection:
    """Pick members one by one, with replacement, each time the one whose addition to the mean lowers the loss most.

    Caruana et al. 2004, "Ensemble Selection from Libraries of Models", begun with the best alone as in their paper of
    2006. As there all `most` picks are made and the best of the nested ensembles is returned, the smaller one on ties:
    the second pick moves half of all shares, so a member that deserves a tenth is reached over some that gain nothing.
    Ties between members go to the earlier.
    """
    scores = [loss(p_NK) for p_NK in p_MNK]
    picks = [scores.index(min(scores))]
    best, size, sum_NK = scores[picks[0]], 1, p_MNK[picks[0]].clone()
    while len(picks) < most and len(p_MNK) > 1:
        losses = [loss((sum_NK + p_NK).div_(len(picks) + 1)) for p_NK in p_MNK]
        picks.append(losses.index(min(losses)))
        sum_NK += p_MNK[picks[-1]]
        if min(losses) < best - _LEAST_GAIN * abs(best):
            best, size = min(losses), len(picks)
    shares = tuple(picks[:size].count(m) / size for m in range(len(p_MNK)))
    return Selection(shares=shares, score=best, scores=tuple(scores))


def loss_on(data: Data, y: Tensor) -> Loss:
    """Return the score that the search minimises (training/heads.py) as a function of predictions in raw units (N, K).

    Log losses have the heads' softened targets. Each member's probabilities are taken at its own temperature, fitted on
    validation rows; their mean has none of its own.
    """
    if data.task in ("binary", "multiclass"):
        soft = softening(len(y), data.outputs)
        true_NK = torch.nn.functional.one_hot(y, data.outputs).double() * (1 - soft) + soft / data.outputs
        return lambda p_NK: -_dot(true_NK, _log(p_NK)) / len(y)
    if data.task == "multilabel":
        soft = softening(y.numel(), 2)
        true_NK = y.double() * (1 - soft) + soft / 2
        return lambda p_NK: -(_dot(true_NK, _log(p_NK)) + _dot(1 - true_NK, _log(1 - p_NK))) / y.numel()
    known_NK, y_NK = ~y.isnan(), y.double()
    # Of a row its known values count, of the mean the rows that have one.
    weight_NK = known_NK.double() / known_NK.sum(1, keepdim=True).clamp(min=1) / known_NK.any(1).sum()
    std_K = torch.tensor([1.0] if data.task == "forecast" else [t.std for t in data.targets], dtype=torch.float64)
    return lambda p_NK: float((weight_NK * ((torch.where(known_NK, y_NK, p_NK) - p_NK) / std_K).square()).sum())


def _log(p_NK: Tensor) -> Tensor:
    return p_NK.clamp(min=_SMALLEST).log_()


def _dot(a_NK: Tensor, b_NK: Tensor) -> float:
    return float(torch.dot(a_NK.flatten(), b_NK.flatten()))


def hand_over(folder: Path, problem: Problem, record: SearchRecord, keeper: Keeper) -> EnsembleRecord:
    """Choose the ensemble of an exported study; write ensemble.json and members/trial-<n>.safetensors to `folder`.

    The weights of the trial that is handed on lie there as well, so that there is a network from the search itself.
    """
    kept = keeper.kept()
    complete = {t.number: t for t in record.trials if t.state == "complete"}
    found = [(complete[n], repeat) for n, repeat in sorted(kept) if _agrees(complete.get(n), repeat, kept[n, repeat])]
    p_MNK, y = predictions(problem, found, keeper)
    usable = [m for m in range(len(found)) if bool(p_MNK[m].isfinite().all())]
    found, p_MNK = [found[m] for m in usable], p_MNK[usable]
    selection = select(p_MNK, loss_on(problem.data, y)) if found else None
    members: tuple[Member, ...] = ()
    if selection:
        parts = zip(found, selection.shares, selection.scores, strict=True)
        chosen = [_member(folder / MEMBERS, keeper, *which, *rest) for which, *rest in parts if rest[0]]
        members = tuple(sorted(chosen, key=lambda member: -member.share))
    if _agrees(complete.get(record.best), 0, kept.get((record.best, 0), math.nan)):  # the winner's, member or not
        path = member_file(record.best)
        write_bytes(folder / MEMBERS / path, keeper.path((record.best, 0)).read_bytes())
    trainings = len(complete) + sum(len(t.repeats) for t in complete.values())
    ensemble = EnsembleRecord(
        metric=record.metric,
        members=members,
        score=selection.score if selection else None,
        single=found[selection.single][0].number if selection else None,
        single_score=min(selection.scores) if selection else None,
        split="val" if problem.data.reserve is None else "reserve",
        rows=len(y),
        considered=tuple(dict.fromkeys(t.number for t, _ in found)),
        notes=tuple(_notes(problem, trainings, len(found), members)),
    )
    write_json(folder / "ensemble.json", ensemble)
    return ensemble


def _agrees(trial: TrialRecord | None, repeat: int, score: float) -> bool:
    """Say whether weights belong to a training that the record knows: a study may have been cut shorter since."""
    if trial is None:
        return False
    return trial.score == score if repeat == 0 else any(own == score for own, _ in trial.repeats)


def predictions(problem: Problem, trained: Sequence[tuple[TrialRecord, int]], keeper: Keeper) -> tuple[Tensor, Tensor]:
    """Return what the kept networks predict (M, N, K) on the reserve, or else the validation rows, and the truth."""
    data, device = problem.data, choose_device(problem.trainer)[0]
    torch.set_num_threads(problem.trainer.threads)
    chosen_on = data.val if data.reserve is None else data.reserve
    rows, head = Rows(chosen_on.x, chosen_on.y, data.inputs, device), head_for(data.task, data.inputs, data.targets)
    y = torch.from_numpy(targets_of(rows))
    p_MNK = torch.empty(len(trained), len(rows), data.outputs, dtype=torch.float64)
    for m, (trial, repeat) in enumerate(trained):
        network = load_trial(keeper.path((trial.number, repeat)), trial.candidate, data.inputs, data.outputs)
        p_MNK[m] = torch.from_numpy(predict(network.to(device), rows, head))
    return p_MNK, y


def _member(folder: Path, keeper: Keeper, trial: TrialRecord, repeat: int, share: float, score: float) -> Member:
    """Copy the weights of a trial to `folder` and return what is to be known of them."""
    path = folder / member_file(trial.number, repeat)
    write_bytes(path, keeper.path((trial.number, repeat)).read_bytes())
    return Member(
        number=trial.number,
        repeat=repeat,
        share=share,
        score=score,
        candidate=trial.candidate,
        temperature=noted_temperature(path),
        parameters=trial.parameters,
        multiply_adds=trial.multiply_adds,
        weights_sha256=sha256_file(path),
    )


def _notes(problem: Problem, trainings: int, usable: int, members: Sequence[Member]) -> Iterator[str]:
    keep = problem.settings.keep
    if not keep:
        yield "search.keep is 0, so no weights are kept for an ensemble"
    elif usable < min(keep, trainings):
        yield f"usable weights of {usable} of {trainings} finished trainings are there, the others are no members"
    if len(members) == 1:
        yield f"no ensemble is better than trial {members[0].number} alone"
    if usable and problem.data.reserve is None:
        yield (
            "no rows are kept in reserve: the ensemble was chosen on validation rows that all trials were compared and "
            "their temperatures set on, so its score there is flattered twice"
        )

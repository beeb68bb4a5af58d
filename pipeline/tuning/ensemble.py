"""The ensembles of a search: which trials predict best together, chosen from those whose weights were kept.

A second one is chosen from the same trials and the simple models that were fitted beside them.

Legend: M members, N rows, K classes, labels or values.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.contracts import (
    EnsembleRecord,
    Member,
    MixedEnsemble,
    SearchRecord,
    SimpleMember,
    TrialRecord,
)
from pipeline.core.store import sha256_file, write_bytes, write_json
from pipeline.training.data import Rows
from pipeline.training.device import choose_device
from pipeline.training.heads import head_for
from pipeline.training.members import MEMBERS, load_trial, member_file, noted_temperature
from pipeline.training.predict import predict, targets_of
from pipeline.training.simple import chosen_on, file_of, fitted_words, readable_name
from pipeline.tuning.fits import Fits
from pipeline.tuning.jobs import Problem
from pipeline.tuning.keeper import Keeper
from pipeline.tuning.selection import Loss, Selection, loss_on, select


def hand_over(
    folder: Path, problem: Problem, record: SearchRecord, keeper: Keeper, fits: Fits | None = None
) -> EnsembleRecord:
    """Choose the ensemble of an exported study; write ensemble.json and members/trial-<n>.safetensors to `folder`.

    With `fits` also the one that may have simple models as members; their predictions are members/<name>.npy. The
    weights of the trial that is handed on lie there as well, so that there is a network from the search itself.
    """
    kept = keeper.kept()
    complete = {t.number: t for t in record.trials if t.state == "complete"}
    found = [(complete[n], repeat) for n, repeat in sorted(kept) if _agrees(complete.get(n), repeat, kept[n, repeat])]
    p_MNK, y = predictions(problem, found, keeper)
    usable = [m for m in range(len(found)) if bool(p_MNK[m].isfinite().all())]
    found, p_MNK = [found[m] for m in usable], p_MNK[usable]
    loss = loss_on(problem.data, y)
    selection = select(p_MNK, loss) if found else None
    members = _members(folder / MEMBERS, keeper, found, selection) if selection else ()
    mixed = _mixed(folder / MEMBERS, keeper, found, p_MNK, (loss, fits)) if fits else None
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
        split=chosen_on(problem.data)[0],
        rows=len(y),
        considered=tuple(dict.fromkeys(t.number for t, _ in found)),
        mixed=mixed,
        notes=(*_notes(problem, trainings, len(found), members), *(_simple_notes(fits, mixed) if fits else ())),
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
    arrays = chosen_on(data)[1]
    rows, head = Rows(arrays.x, arrays.y, data.inputs, device), head_for(data.task, data.inputs, data.targets)
    y = torch.from_numpy(targets_of(rows))
    p_MNK = torch.empty(len(trained), len(rows), data.outputs, dtype=torch.float64)
    for m, (trial, repeat) in enumerate(trained):
        network = load_trial(keeper.path((trial.number, repeat)), trial.candidate, data.inputs, data.outputs)
        p_MNK[m] = torch.from_numpy(predict(network.to(device), rows, head))
    return p_MNK, y


def _members(
    folder: Path, keeper: Keeper, found: Sequence[tuple[TrialRecord, int]], selection: Selection
) -> tuple[Member, ...]:
    """Return the networks that were chosen, largest share first; their weights are copied to `folder`.

    A selection from more than networks has them in front.
    """
    parts = zip(found, selection.shares, selection.scores, strict=False)
    chosen = [_member(folder, keeper, *which, *rest) for which, *rest in parts if rest[0]]
    return tuple(sorted(chosen, key=lambda member: -member.share))


def _mixed(
    folder: Path,
    keeper: Keeper,
    found: Sequence[tuple[TrialRecord, int]],
    p_MNK: Tensor,
    by: tuple[Loss, Fits],
) -> MixedEnsemble | None:
    """Choose from networks, whose predictions are p_MNK, and simple models; None where none of these was fitted."""
    loss, fits = by
    told = [(kind, torch.from_numpy(p)) for kind in fits.kinds if (p := fits.predictions(kind)) is not None]
    told = [(kind, p_NK) for kind, p_NK in told if bool(p_NK.isfinite().all())]
    if not told:
        return None
    selection = select(torch.cat([p_MNK, torch.stack([p_NK for _, p_NK in told])]), loss)
    simple, data = [], fits.problem.data
    for (kind, _), share, score in zip(
        told, selection.shares[len(found) :], selection.scores[len(found) :], strict=True
    ):
        path = folder / file_of(fits.name(kind))
        write_bytes(path, fits.path(kind).read_bytes())
        simple.append(
            SimpleMember(
                kind=kind,
                name=fits.name(kind),
                share=share,
                score=score,
                rows=fits.rows,
                seed=fits.problem.seed,
                fitted_on=fitted_words(data, fits.rows, fits.problem.seed),
                predictions_sha256=sha256_file(path),
            )
        )
    return MixedEnsemble(
        members=_members(folder, keeper, found, selection),
        simple=tuple(sorted(simple, key=lambda member: -member.share)),
        score=selection.score,
    )


def _simple_notes(fits: Fits, mixed: MixedEnsemble | None) -> Iterator[str]:
    """Say what became of each simple model that is no member."""
    shares = {member.kind: member.share for member in mixed.simple} if mixed else {}
    for kind in fits.kinds:
        name = readable_name(fits.name(kind))
        if kind not in shares:
            yield f"{name} could not be a member: {fits.why_not(kind) or 'its predictions are not all numbers'}"
        elif shares[kind] == 0:
            yield f"{name} was fitted and got no share: networks alone predict better on these rows"


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

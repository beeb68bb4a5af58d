"""What the linter finds, as records: `lint` puts together what the rest of this room finds out."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.contracts import Candidate
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.linting.draws import DeadEnd, Draw, Drawing, Reason, dead_ends, reasons, removed
from pipeline.linting.rises import Rise, rises
from pipeline.linting.subjects import Subject
from pipeline.linting.timing import seconds_per_step
from pipeline.linting.tree import Ends, Size, families, family_answer, missing_logarithms, size_of, size_of_family
from pipeline.models import FAMILIES
from pipeline.models.cost import cost_of
from pipeline.space import Space
from pipeline.training.budgets import batch_of, trial_limit, usual_epochs

_COSTED = 12  # draws beside the lightest, the heaviest and the default of each family: shapes take longer than weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How long the linter looks, and what the search would allow."""

    draws: int
    seed: int
    search: SearchSettings
    trainer: TrainerSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """An architecture and its cost."""

    architecture: Mapping[str, Any]
    parameters: int
    multiply_adds: int
    """Of one row, forward."""
    activation_mb: float
    """Megabytes (10^6) kept of a batch of the default size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """The smallest and the largest model that was seen, by weights, multiply-adds or activations."""

    measure: str
    smallest: Model
    largest: Model


@dataclass(frozen=True, kw_only=True, slots=True)
class FamilyLines:
    """What was found of one family."""

    name: str
    reads: bool
    """Whether it is made for this kind of data."""
    size: Size
    """Of its architectures."""
    default: Model | None
    """None if it cannot be trained."""
    refused: str | None
    """Why the default cannot be trained; None if it can."""
    smallest: Model | None
    """By weights, of the random draws, the default, and all numbers at their low or high end."""
    largest: Model | None
    beyond: str | None
    """Why all numbers at their high end cannot be trained; None if they can."""
    seconds: float | None
    """Of a whole trial of its default on this machine; without a data set: of one pass over 1,000 rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OnSubject:
    """What was found on one kind of data."""

    subject: str
    rows: int | None
    epochs: int | None
    draws: int
    forbidden: tuple[Reason, ...]
    """What each `forbid` of the space removes; a search draws again there."""
    infeasible: float
    """Share of random draws that are allowed but that no trial could train."""
    reasons: tuple[Reason, ...]
    dead_ends: tuple[DeadEnd, ...]
    ranges: tuple[Range, ...]
    families: tuple[FamilyLines, ...]
    batch: int | None
    """Rows of a batch by default."""
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Linted:
    """What there is to say about a space."""

    space: str
    size: Size
    """Of the whole: architectures of all families times ways to train them."""
    training: Size
    """Of the ways to train alone."""
    rises: tuple[Rise, ...]
    warnings: tuple[str, ...]
    """On any data."""
    subjects: tuple[OnSubject, ...]


def lint(space: Space, name: str, subjects: Sequence[Subject], limits: Limits) -> Linted:
    """Look at a space; draws are shared among the subjects."""
    return Linted(
        space=name,
        size=size_of(space.root),
        training=size_of(space.optimizer),
        rises=rises(space),
        warnings=tuple(
            f"{q.name}: {q.answers[0]} to {q.answers[1]} evenly on the line; log: true would look at every size alike"
            for q in missing_logarithms(space)
        ),
        subjects=tuple(_on(space, subject, limits, max(1, limits.draws // len(subjects))) for subject in subjects),
    )


def _on(space: Space, subject: Subject, limits: Limits, draws: int) -> OnSubject:
    drawing = Drawing(space, subject, limits.search.max_parameters, limits.seed)
    found = [drawing.at_random() for _ in range(draws)]
    defaults = {family: drawing.default(family) for family in families(space)}
    rows_here = subject.rows or 1000
    sizes = (batch_of(d.candidate.optimizer, subject.inputs, rows_here) for d in defaults.values() if d.candidate)
    batch = next(sizes, None)
    pricing = _Pricing(subject, batch or 1)
    extremes = {family: _extremes(drawing, family, [*found, draw]) for family, draw in defaults.items()}
    built = [draw for draw in found if draw.parameters is not None]
    some = [*defaults.values(), *(d for pair in extremes.values() for d in pair[:2]), *built[:_COSTED]]
    seen = [model for model in map(pricing.model, some) if model is not None]
    epochs = limits.search.epochs or (usual_epochs(subject.inputs, subject.rows) if subject.rows else None)
    rows_wanted = (subject.rows or 1000) * (epochs if epochs and subject.rows else 1)
    lines = []
    for family, draw in defaults.items():
        lightest, heaviest, beyond = extremes[family]
        lines.append(
            FamilyLines(
                name=family,
                reads=family in FAMILIES and isinstance(subject.inputs, FAMILIES[family].reads),
                size=size_of_family(space, family),
                default=pricing.model(draw),
                refused=draw.reason,
                smallest=pricing.model(lightest),
                largest=pricing.model(heaviest),
                beyond=beyond,
                seconds=_seconds(draw, subject, limits.trainer, rows_wanted),
            )
        )
    silent = {line.name for line in lines if line.name in FAMILIES and not line.reads}
    return OnSubject(
        subject=subject.name,
        rows=subject.rows,
        epochs=epochs if subject.rows else None,
        draws=draws,
        forbidden=removed(space, found),
        infeasible=sum(draw.reason is not None and not draw.forbidden for draw in found) / draws,
        reasons=reasons(found),
        dead_ends=tuple(end for end in dead_ends(drawing, found) if end.answer not in silent),
        ranges=_ranges(seen),
        families=tuple(lines),
        batch=batch,
        warnings=tuple(_warnings(lines, subject, limits)),
    )


def _extremes(drawing: Drawing, family: str, draws: Iterable[Draw]) -> tuple[Draw, Draw, str | None]:
    """Return the lightest and the heaviest draw of a family, and why its high end is not among them."""
    low, high = (drawing.by(Ends(end), family_answer(family)) for end in (False, True))
    own = [d for d in (low, high, *draws) if d.parameters is not None and d.answers["architecture.kind"] == family]
    by_weights = sorted(own, key=lambda d: d.parameters or 0) or [low]
    return by_weights[0], by_weights[-1], high.reason


class _Pricing:
    """Costs of models on one subject; the same architecture is followed once."""

    def __init__(self, subject: Subject, batch: int) -> None:
        self.subject, self.batch = subject, batch
        self.known: dict[str, Model | None] = {}

    def model(self, draw: Draw) -> Model | None:
        """Return a draw's model, None if it cannot be built."""
        if draw.candidate is None or draw.parameters is None:
            return None
        architecture = draw.candidate.architecture
        key = repr(sorted(architecture.items()))
        if key not in self.known:
            self.known[key] = self._model(architecture)
        return self.known[key]

    def _model(self, architecture: Mapping[str, Any]) -> Model:
        cost = cost_of(architecture, self.subject.inputs, self.subject.outputs)
        return Model(
            architecture=architecture,
            parameters=cost.parameters,
            multiply_adds=cost.multiply_adds,
            activation_mb=round(self.batch * cost.activation_bytes / 1e6, 3),
        )


def _weights(model: Model) -> int:
    return model.parameters


_MEASURES: Mapping[str, Callable[[Model], float]] = {
    "weights": _weights,
    "multiply-adds a row": lambda model: model.multiply_adds,
    "MB of activations": lambda model: model.activation_mb,
}


def _ranges(models: Iterable[Model]) -> tuple[Range, ...]:
    models = list(models)
    if not models:
        return ()
    return tuple(
        Range(measure=measure, smallest=min(models, key=size), largest=max(models, key=size))
        for measure, size in _MEASURES.items()
    )


def _seconds(draw: Draw, subject: Subject, trainer: TrainerSettings, rows: int) -> float | None:
    candidate: Candidate | None = draw.candidate
    if candidate is None or draw.parameters is None:
        return None
    batch = batch_of(candidate.optimizer, subject.inputs, subject.rows or 1000)
    return round(seconds_per_step(candidate, subject, trainer) * rows / batch, 4)


def _warnings(lines: Sequence[FamilyLines], subject: Subject, limits: Limits) -> list[str]:
    silent = [line.name for line in lines if line.name in FAMILIES and not line.reads]
    found = [f"{name} does not read data of kind {subject.inputs.kind}: every trial of it fails" for name in silent]
    whole = limits.search.seconds
    if subject.rows and whole is not None:
        share = limits.search.trial_share * whole
        first = next((line.seconds for line in lines if line.seconds is not None), share)  # the space's default leads
        limit = trial_limit(first, share)
        slow = [line for line in lines if line.seconds is not None and line.seconds > limit]
        found += [
            f"{line.name}: a trial of the default would take {line.seconds:.0f} s and is cut to {limit:.0f} "
            "(search.seconds, search.trial_share)"
            for line in slow
        ]
    return found

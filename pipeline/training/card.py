"""The card of the network that is handed on: what its record says of the training and of those beside it."""

from collections.abc import Sequence
from dataclasses import replace

from pipeline.core.contracts import Best, Budget, Candidate, DatasetCard, FullTraining, Inputs, Latency, ModelCard
from pipeline.core.settings import TrainSlice
from pipeline.core.usage import CONTINUED, SHARED, Usage
from pipeline.models import settled_architecture
from pipeline.models.anatomy import layers_of
from pipeline.models.cost import Cost, cost_of, measured_latency
from pipeline.training.budgets import rows_at_once, settled
from pipeline.training.fit import Fit
from pipeline.training.full import DEFAULT, DISTILLED

_NOISE = 2.0
"""Standard errors."""


def as_built(candidate: Candidate, inputs: Inputs, outputs: int, rows: int) -> Candidate:
    """Return the candidate with what its network and its steps come to wherever it says auto; `rows`: of training."""
    found = settled(candidate, inputs, rows)
    return replace(found, architecture=settled_architecture(candidate.architecture, inputs, outputs))


def priced(settings: TrainSlice, card: DatasetCard, best: Best, done: Fit) -> tuple[Cost, Latency]:
    """Return what the winner costs, and how long its predictions take where it was trained."""
    device = "cpu" if done.device == "cpu" else "cuda"
    latency = measured_latency(
        done.network, card.inputs, batch=settings.train.latency_batch, device=device, threads=settings.trainer.threads
    )
    return cost_of(best.candidate.architecture, card.inputs, card.outputs), latency


def model_card(
    settings: TrainSlice,
    card: DatasetCard,
    best: Best,
    budget: Budget,
    done: Fit,
    floor: float | None,
    weights: str,
) -> ModelCard:
    """Return the record of a finished training; `floor` is what ModelCard.familiarity_floor says."""
    cost, latency = priced(settings, card, best, done)
    rows = card.rows["train"]
    candidate = as_built(best.candidate, card.inputs, card.outputs, rows)
    processes, parts = settings.trainer.processes, done.policy.parts
    at_once = rows_at_once(best.candidate.optimizer, card.inputs, rows, processes, parts)
    last = done.records[-1]
    notes = []
    if done.passes < budget.epochs:
        notes.append(f"train.seconds ended the training after {done.passes:.1f} of {budget.epochs} epochs")
    if (worse := rebuilt_words(best.score, last.val_score, done.standard_error)) is not None:
        notes.append(worse)
    return ModelCard(
        candidate=candidate,
        inputs=card.inputs,
        outputs=card.outputs,
        parameters=done.parameters,
        multiply_adds=cost.multiply_adds,
        activation_mb=round(at_once * cost.activation_bytes / 1e6, 3),
        latency=latency,
        seed=settings.seed,
        device=done.device,
        processes=processes,
        precision=done.policy.precision,
        memory_format=done.policy.memory_format,
        compiled=done.policy.compile,
        parts=parts,
        refit_rows=sum(n for split, n in card.rows.items() if split != "test") if settings.train.refit else None,
        epochs=done.records,
        seconds=round(done.seconds, 3),
        search_score=best.score,
        val_score=last.val_score,
        val_quality=last.val_quality,
        familiarity_floor=floor,
        weights_sha256=weights,
        layers=layers_of(candidate.architecture, card.inputs, card.outputs),
        notes=tuple(notes),
    )


def with_usage(card: ModelCard, usage: Usage, *, continued: bool) -> ModelCard:
    """Return the card with what the training took of the machine, where this process did all of it."""
    usage.look()
    if continued:
        return replace(card, energy_of=CONTINUED)
    if card.processes > 1:
        return replace(card, energy_of=SHARED)
    return replace(card, processor_seconds=usage.processor_seconds, energy_wh=usage.energy_wh,
                   energy_of=usage.energy_words)  # fmt: skip


def rebuilt_words(searched: float, rebuilt: float, standard_error: float) -> str | None:
    """Say when the winner, trained again, misses what it was chosen for by more than the noise of validation rows."""
    if rebuilt - searched <= _NOISE * standard_error:
        return None
    return (
        f"the winner, trained again, scores {rebuilt:.4f} on validation rows and scored {searched:.4f} in the search: "
        f"worse by more than two standard errors ({standard_error:.4f})"
    )


def with_trainings(record: ModelCard, told: Sequence[FullTraining]) -> ModelCard:
    """Return the card with all trainings beside the one it is about."""
    return replace(
        record,
        seeds=tuple(training for training in told if training.name not in (DEFAULT, DISTILLED)),
        default=next((training for training in told if training.name == DEFAULT), None),
        distilled=next((training for training in told if training.name == DISTILLED), None),
    )


def with_failures(record: ModelCard, failed: Sequence[str], why: str) -> ModelCard:
    """Return the card with the trainings that have no outcome; `why` there was no default to be trained."""
    no_default = why or next((words for words in failed if words.startswith(DEFAULT)), "")
    return replace(record, no_default=no_default, notes=(*record.notes, *failed))

"""The bounds and objectives of a search: amounts known before a step is trained, and amounts of a trained network.

What breaks one of the first is no candidate and is passed over like a forbidden draw. The others are measured when a
trial has come to its end, on validation rows, never on the reserve or the test split.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch

from pipeline.core.bounds import GAPS, MEASURED, Amounts, Constraints, excess, violation_words, violations
from pipeline.core.contracts import Candidate, Inputs, Number
from pipeline.core.errors import ConfigError
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.metrics.calibration import calibration_error
from pipeline.metrics.gaps import LEAST_ROWS, largest_gap
from pipeline.models import Network, build, parameter_count
from pipeline.models.cost import cost_of, measured_latency
from pipeline.space import Choice, Constant, Forbidden, Space
from pipeline.training.data import Data
from pipeline.training.device import choose_device
from pipeline.training.groups import refuse_groups
from pipeline.training.heads import head_for
from pipeline.training.predict import predict

MARK = "search.constraints: "
"""Starts the reason for which a draw was passed over."""


class OutOfBounds(Forbidden):
    """A draw that breaks a bound."""

    def __init__(self, candidate: Candidate, amounts: Amounts) -> None:
        super().__init__(f"{MARK}{violation_words(amounts)}")
        self.candidate = candidate
        self.excess = excess(amounts)

    @property
    def words(self) -> str:
        """Name the architecture and what is wrong with it."""
        fields = dict(self.candidate.architecture)
        kind = fields.pop("kind")
        shown = "".join(f" {name} {value}," for name, value in fields.items())
        return f"{kind}{shown} has {self.message.removeprefix(MARK)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Gauge:
    """Takes the amounts that can be known of a candidate before it is trained."""

    data: Data
    settings: SearchSettings
    trainer: TrainerSettings
    others: tuple[str, ...] = ()
    """Objectives beside the score."""

    def kept(self, candidate: Candidate) -> Amounts:
        """Return the amounts, cheapest first until one breaks its bound; raises OutOfBounds then.

        A candidate that cannot be built has none: it fails as a trial and keeps its traceback there. What goes wrong
        when one that can be built is measured is raised: a bound must not be left out unsaid.
        """
        bounds = self.settings.constraints.given()
        amounts: dict[str, tuple[float, float]] = {}
        if not bounds:
            return amounts
        try:
            weights_of(candidate, self.data.inputs, self.data.outputs)
        except Exception:  # noqa: BLE001  whatever a candidate breaks when it is built; its trial says it
            return amounts
        for name, measure in self._measures().items():
            if name not in bounds:
                continue
            amount = measure(candidate)
            if amount is not None:
                amounts[name] = (float(amount), bounds[name])
            if violations(amounts):
                raise OutOfBounds(candidate, amounts)
        return amounts

    def objectives(self, candidate: Candidate, kept: Amounts) -> dict[str, float]:
        """Return the objectives beside the score that are known before training; `kept`: what was measured already.

        A candidate that cannot be built has none, as above.
        """
        names = [name for name in self.others if name not in MEASURED]
        if not names:
            return {}
        try:
            weights_of(candidate, self.data.inputs, self.data.outputs)
        except Exception:  # noqa: BLE001  whatever a candidate breaks when it is built; its trial says it
            return {}
        measures = self._measures()
        found = {name: kept[name][0] if name in kept else measures[name](candidate) for name in names}
        return {name: float(amount) for name, amount in found.items() if amount is not None}

    def _measures(self) -> Mapping[str, Callable[[Candidate], float | None]]:
        return {"parameters": self._weights, "size_mb": self._megabytes, "multiply_adds": self._multiply_adds,
                "latency_ms": self._latency}  # fmt: skip

    def _weights(self, candidate: Candidate) -> float:
        return weights_of(candidate, self.data.inputs, self.data.outputs)

    def _megabytes(self, candidate: Candidate) -> float:
        return megabytes(weights_of(candidate, self.data.inputs, self.data.outputs))

    def _multiply_adds(self, candidate: Candidate) -> float:
        return cost_of(candidate.architecture, self.data.inputs, self.data.outputs).multiply_adds

    def _latency(self, candidate: Candidate) -> float | None:
        """Return the median milliseconds; None of networks that are too large to be made at all."""
        inputs, outputs = self.data.inputs, self.data.outputs
        if weights_of(candidate, inputs, outputs) > self.settings.max_parameters:
            return None
        with torch.random.fork_rng(devices=[]):
            network = build(candidate.architecture, inputs, outputs)
        device = choose_device(self.trainer)[0]
        batch, threads = self.settings.latency_batch, self.trainer.threads
        return measured_latency(network, inputs, batch=batch, device=device, threads=threads).milliseconds


def weights_of(candidate: Candidate, inputs: Inputs, outputs: int) -> int:
    """Return the trainable weights of a network that is not made."""
    with torch.device("meta"):
        return parameter_count(build(candidate.architecture, inputs, outputs))


def megabytes(weights: int) -> float:
    """Return the megabytes (10^6) of so many weights in fp32."""
    return 4 * weights / 1e6


def amounts_of(network: Network, data: Data, constraints: Constraints, device: str) -> Amounts:
    """Return the bounded amounts of a trained network that need validation rows."""
    bounds = constraints.given()
    return {name: (amount, bounds[name]) for name, amount in measured(network, data, bounds, device).items()}


def measured(network: Network, data: Data, names: Iterable[str], device: str) -> dict[str, float]:
    """Return those of some amounts of a trained network that need validation rows."""
    wanted = [name for name in names if name in MEASURED]
    if not wanted:
        return {}
    head = head_for(data.task, data.inputs, data.targets)
    p_NK, y = predict(network.to(device), data.placed("val", device), head), data.val.y
    network.cpu()
    found: dict[str, float] = {}
    for name in wanted:
        gap = largest_gap(name, y, p_NK.argmax(1), data.sensitive).value if name in GAPS else None
        amount = calibration_error(y, p_NK) if name == "calibration_error" else gap
        assert amount is not None  # refuse_unmeasurable saw to it
        found[name] = amount
    return found


def gaps_of(network: Network, data: Data, device: str) -> dict[str, Number]:
    """Return the largest gaps between groups of the validation rows, with intervals; none where they mean nothing."""
    if data.task != "binary" or not data.sensitive:
        return {}
    head = head_for(data.task, data.inputs, data.targets)
    predicted_N = predict(network.to(device), data.placed("val", device), head).argmax(1)
    network.cpu()
    found = {name: largest_gap(name, data.val.y, predicted_N, data.sensitive) for name in GAPS}
    return {name: number for name, number in found.items() if number.value is not None}


def refuse_uncounted(data: Data, space: Space) -> None:
    """Refuse a space that lets groups of people count which the data do not declare, before a trial is spent."""
    node = space.optimizer.nodes.get("groups")
    kinds = node.options if isinstance(node, Choice) else (node.value,) if isinstance(node, Constant) else ()
    for kind in kinds:
        refuse_groups(str(kind), data)


def refuse_unmeasurable(data: Data, constraints: Constraints, others: Iterable[str] = ()) -> None:
    """Refuse bounds, and objectives beside the score, that mean nothing for these data before a trial is spent."""
    named = [(name, f"conf.search.constraints.{name}", "leave this bound out") for name in constraints.given()]
    named += [(name, f"conf.objective.minimise: {name}", "leave this objective out") for name in others]
    for name, where, fix in named:
        if name not in MEASURED:
            continue
        if data.task not in ("binary", "multiclass"):
            raise ConfigError(
                f"{where}: needs classes that exclude each other, these data are for {data.task}", fix=fix
            )
        if name == "calibration_error":
            continue
        if data.task != "binary":
            raise ConfigError(f"{where}: needs two classes, these data have {data.outputs}", fix=fix)
        if not data.sensitive:
            raise ConfigError(f"{where}: the data declare no sensitive feature", fix="declare one under data.sensitive")
        if largest_gap(name, data.val.y, data.val.y, data.sensitive).value is None:
            listed = ", ".join(data.sensitive)
            raise ConfigError(
                f"{where}: {listed} without two groups of {LEAST_ROWS} validation rows to compare", fix=fix
            )

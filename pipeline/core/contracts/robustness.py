"""What evaluate hands on beside its scores: how they fall when inputs are worse, attacked, or of another kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts.number import Number

Familiarity = Literal["largest_probability", "free_energy"]
"""How sure a network is that a row is like its training rows: by its probabilities, or by the size of its logits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Degradation:
    """One corruption of test rows, at severities 1 to 5."""

    corruption: str
    words: str
    """What it does to an input, in which `a` is the amount."""
    amounts: tuple[float, ...]
    """a at each severity."""
    quality: tuple[Number, ...]
    """The headline metric at each severity."""
    change: Number
    """The headline metric at the highest severity minus that of the same rows unchanged, paired by row."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AttackScores:
    """Accuracy on rows that were changed against the network, by at most epsilon in every pixel of [0, 1]."""

    attack: Literal["fgsm", "pgd"]
    words: str
    epsilons: tuple[float, ...]
    accuracy: tuple[Number, ...]
    """An upper bound on what any attack within epsilon would leave; a row lost to a smaller epsilon stays lost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OutsideSet:
    """Rows of another kind than the training rows, and whether the network's familiarity tells them from test rows."""

    name: str
    synthetic: bool
    """Corrupted test rows, because no other data set was declared."""
    rows: int
    auroc: Mapping[Familiarity, Number]
    """Chance that a test row is more familiar than such a row; 0.5 is guessing."""
    fpr95: Mapping[Familiarity, Number]
    """Share of such rows that pass where 95 % of the test rows do."""
    flagged: Number
    """Share that predict calls unlike training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RobustnessRecord:
    """artifacts/evaluate/robustness.json."""

    schema: Literal[1] = 1
    metric: str
    """The headline metric; higher is better."""
    rows: int
    """Test rows of all that follows, attacks aside."""
    of: int
    """All test rows."""
    clean: Number | None = None
    """The metric of these rows unchanged; None: nothing was asked for."""
    degradations: tuple[Degradation, ...] = ()
    attack_clean: Number | None = None
    """Accuracy of the attacked rows before the attack."""
    attacks: tuple[AttackScores, ...] = ()
    outside: tuple[OutsideSet, ...] = ()
    flagged: Number | None = None
    """Share of the test rows that predict calls unlike training."""
    flagged_share: float | None = None
    """The same of validation rows, by which its limit was set."""
    notes: tuple[str, ...] = ()
    """What was reduced, and what an input is where it is not the raw one."""
    not_assessed: tuple[str, ...] = ()

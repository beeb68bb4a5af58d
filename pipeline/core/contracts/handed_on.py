"""What a search hands on beside its best trial: the front of score and cost, and ensembles."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline.core.contracts.candidate import Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontMember:
    """A trial that no other betters in all objectives at once."""

    number: int
    score: float
    standard_error: float | None
    """Of the score, over validation rows."""
    objectives: Mapping[str, float]
    """Each but the score, by name."""
    candidate: Candidate


@dataclass(frozen=True, kw_only=True, slots=True)
class FrontRecord:
    """artifacts/search/front.json: what can be had of one objective without giving up more of another."""

    schema: Literal[1] = 1
    objectives: tuple[str, ...]
    """The score first; all are minimised."""
    metric: str
    """What the score is."""
    declared: bool
    """Whether the search minimised all of them; else it minimised the score, and this is what it came across."""
    compared: int
    """Trials: complete, and within all bounds."""
    members: tuple[FrontMember, ...]
    """Lowest score first; the earlier one of equals."""
    best: int
    """Number of the trial that is handed on."""
    default: int | None
    """Number of the first default that is among those compared."""
    reference: tuple[float, ...]
    """What the hypervolume is taken below: of each objective the largest among those compared, and a tenth of the
    range more."""
    ideal: tuple[float, ...]
    """Of each objective the smallest among those compared."""
    hypervolume: float
    """Volume of what lies below the reference and is bettered by a member, in the units of the objectives."""
    hypervolume_share: float
    """Of the box between ideal and reference, which only a trial that is best in all objectives would fill."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One network of an ensemble; its weights lie in artifacts/search/members/trial-<number>.safetensors."""

    number: int
    """Of the trial whose weights these are."""
    repeat: int = 0
    """0: trained with the seed of the search; k: again with the k-th fresh one (file trial-<number>-seed-<k>)."""
    share: float
    """How much its predictions count; the shares of all members sum to 1."""
    score: float
    """Its own, on the rows the ensemble was chosen on."""
    candidate: Candidate
    temperature: float
    """What its logits are divided by; part of the weights."""
    parameters: int | None
    multiply_adds: int | None
    """Of one row, forward; None as in TrialRecord."""
    weights_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SimpleMember:
    """A simple model, no network, as a member of an ensemble.

    Nothing fitted is stored: evaluate fits it again from the same training rows, and what it says of the rows the
    ensemble was chosen on must be what lies in artifacts/search/members/<name>.npy.
    """

    kind: str
    """As in search.members."""
    name: str
    """What the model of this kind is called for such data."""
    share: float
    """How much its predictions count; 0: fitted, and not chosen."""
    score: float
    """Its own, on the rows the ensemble was chosen on."""
    rows: int
    """It is fitted on at most so many training rows, drawn with `seed`."""
    seed: int
    fitted_on: str
    """The same in words."""
    predictions_sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MixedEnsemble:
    """An ensemble that was free to choose among networks and simple models; all shares sum to 1."""

    members: tuple[Member, ...]
    """Networks, largest share first; none where simple models alone are best."""
    simple: tuple[SimpleMember, ...]
    """All that were fitted, largest share first."""
    score: float
    """On the rows it was chosen on; flattered by the choice."""

    @property
    def chosen(self) -> tuple[SimpleMember, ...]:
        """The simple models that count."""
        return tuple(simple for simple in self.simple if simple.share > 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class EnsembleRecord:
    """artifacts/search/ensemble.json: trials that predict best together, an alternative to the winner."""

    schema: Literal[1] = 1
    metric: str
    """What the scores are."""
    members: tuple[Member, ...]
    """Largest share first; one alone if no ensemble is better, none if no weights were kept."""
    score: float | None
    """Of the ensemble, on the rows it was chosen on; flattered by the choice."""
    single: int | None
    """Number of the kept trial that is best alone on these rows."""
    single_score: float | None
    split: Literal["reserve", "val"]
    """Where these rows are from; those of val were seen by every trial."""
    rows: int
    considered: tuple[int, ...]
    """Trials whose weights were there to choose from."""
    mixed: MixedEnsemble | None = None
    """Chosen from the same networks and simple models; None where none was fitted."""
    notes: tuple[str, ...] = ()

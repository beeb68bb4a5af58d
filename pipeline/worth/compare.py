"""Was the search worth it? The network that is handed on against what needs no search, and what the search cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.core.contracts import (
    BaselineScores,
    Comparison,
    ModelCard,
    Number,
    Rival,
    SearchRecord,
    Worth,
    best_baseline,
)

POINT = 0.01
"""Of the headline metric."""
_NOT_MEASURED = "not measured in this run"


@dataclass(frozen=True, kw_only=True)
class Rivals:
    """What the network is compared with, on the same test rows."""

    default: BaselineScores | None
    baselines: Sequence[BaselineScores]
    random: tuple[Number, str] | None
    """Paired gain over the network of a random search, and what is known of that."""


def worth_of(rivals: Rivals, model: ModelCard, search: SearchRecord, headline: str) -> Worth:
    """Return the comparisons, what they say in sentences, and the price of what was gained over the default."""
    comparisons = tuple(_comparisons(rivals, model, headline))
    seconds, wh = search.wall_seconds, search.energy_wh
    gain = rivals.default.gain if rivals.default is not None else None
    others = sum(training.seconds for training in model.seeds[1:])
    beside = [training for training in (model.default, model.distilled) if training is not None]
    others += sum(training.seconds for training in beside)
    trainings = max(0, len(model.seeds) - 1) + len(beside)
    return Worth(
        sentences=tuple(_sentences(rivals, model, headline)),
        comparisons=comparisons,
        search_seconds=Number(value=seconds, n=len(search.trials), unit="s"),
        train_seconds=Number(value=model.seconds, n=1, unit="s"),
        other_seconds=Number(value=round(others, 3), n=trainings, unit="s"),
        energy_wh=Number(value=wh, n=len(search.trials), unit="Wh", reason=None if wh is not None else "not measured"),
        seconds_per_point=price(seconds, gain, "s"),
        wh_per_point=price(wh, gain, "Wh"),
    )


def price(spent: float | None, gain: Number | None, unit: str) -> Number:
    """Return what 0.01 of the headline metric cost; nothing was gained where the interval of the gain holds zero.

    The interval is that of the gain, turned over: the price falls with the gain.
    """
    if spent is None:
        return Number(value=None, n=0, unit=unit, reason="not measured")
    if gain is None or gain.value is None:
        return Number(value=None, n=0, unit=unit, reason="no default to compare with")
    if gain.ci_low is None or gain.ci_high is None or gain.ci_low <= 0:
        return Number(value=None, n=gain.n, unit=unit, reason="nothing gained")
    most, least = (spent * POINT / limit for limit in (gain.ci_low, gain.ci_high))
    return Number(value=spent * POINT / gain.value, ci_low=least, ci_high=most, ci_level=gain.ci_level,
                  ci_method=f"that of the gain: {gain.ci_method}", n=gain.n, unit=unit)  # fmt: skip


def sign_of(gain: Number) -> int | None:
    """Return 1 or -1 where the interval of a gain lies above or below zero, 0 where it holds zero, None without one."""
    if gain.ci_low is None or gain.ci_high is None:
        return None
    return 1 if gain.ci_low > 0 else -1 if gain.ci_high < 0 else 0


_VERDICTS = {1: "the winner is better", -1: "the winner is worse", 0: "not shown to differ", None: "cannot be compared"}


def _comparisons(rivals: Rivals, model: ModelCard, headline: str) -> Iterator[Comparison]:
    default, best = rivals.default, best_baseline(rivals.baselines, headline)
    if default is not None:
        what = f"trial {model.default_trial} of the search, a network trained as the winner was"
        yield Comparison(other="default candidate", what=what, gain=default.gain,
                         verdict=_VERDICTS[sign_of(default.gain)])  # fmt: skip
    else:
        yield _without("default candidate", model.no_default or _NOT_MEASURED)
    if best is not None:
        what = f"{best.name.replace('_', ' ')}, not a network, fitted on {best.fitted_on}"
        yield Comparison(other="best simple model", what=what, gain=best.gain, verdict=_VERDICTS[sign_of(best.gain)])
    else:
        yield _without("best simple model", "no baseline was fitted")
    if rivals.random is not None:
        gain, words = rivals.random
        yield Comparison(other="random search", what=words, gain=gain, verdict=_VERDICTS[sign_of(gain)])
    else:
        yield _without("random search", _NOT_MEASURED)


def _without(other: Rival, why: str) -> Comparison:
    return Comparison(other=other, what="", gain=Number(value=None, n=0, reason=why), verdict=why)


_OVER_DEFAULT = {
    1: "The search paid on these rows: its winner is better than the default candidate, trained alike.",
    -1: "The search did harm on these rows: the default candidate, trained alike, is better than its winner.",
    0: "The search is not shown to have gained anything: its winner and the default candidate cannot be told apart.",
    None: "Whether the search gained anything over the default candidate cannot be told.",
}


def _sentences(rivals: Rivals, model: ModelCard, headline: str) -> Iterator[str]:
    """Say whether the search paid; the numbers stand in the table below."""
    if rivals.default is not None:
        yield _OVER_DEFAULT[sign_of(rivals.default.gain)]
    elif model.no_default == "the winner is the default":
        yield "The search gained nothing over the default: that is what it hands on."
    else:
        yield f"What the search gained over the default is not known: {model.no_default or 'none was trained'}."
    best = best_baseline(rivals.baselines, headline)
    if best is None:
        return
    name = best.name.replace("_", " ")
    yield {
        1: f"The winner is better than the best simple model ({name}).",
        -1: f"A simple model ({name}) is better than the winner: use that instead.",
        0: f"The winner is not shown to be better than the best simple model ({name}).",
        None: f"The winner cannot be compared with the best simple model ({name}).",
    }[sign_of(best.gain)]

"""Two runs side by side as one JSON document, and the document as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from pipeline.core.contracts import Number
from pipeline.reporting.figures import forest
from pipeline.reporting.page import page_of
from pipeline.reporting.words import interval, method, metric_words

LOWER_IS_BETTER = frozenset(
    ("log_loss", "brier", "ece", "mae", "mse", "rmse", "smape", "mase", "pinball", "squared_error")
)
_NEITHER = frozenset(("ece_null", "bias"))


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One of the two runs."""

    name: str
    title: str
    winner: str
    commands: Mapping[str, str]
    """By stage."""
    code: Mapping[str, str | None]
    """SHA-256 by stage; None where it was not recorded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MetricPair:
    """A metric of both runs on the same test rows."""

    name: str
    this: Number
    other: Number
    difference: Number
    """This run minus the other."""
    better: Literal["higher", "lower", "neither"]


@dataclass(frozen=True, kw_only=True, slots=True)
class CostPair:
    """What both runs took, or take."""

    name: str
    this: Number
    other: Number


@dataclass(frozen=True, kw_only=True, slots=True)
class SettingPair:
    """A setting that differs, as JSON; None where a run has no such setting."""

    name: str
    this: str | None
    other: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """reports/compare.json."""

    schema_version: Literal[1] = 1
    this: Side
    other: Side
    data: str
    rows: int
    """Test rows of both."""
    rows_sha256: str
    """Over task, ids and truth of these rows."""
    metric: str
    """The headline metric; higher is better."""
    gain: Number
    """Its value in this run minus that in the other, paired by row."""
    verdict: str
    metrics: tuple[MetricPair, ...]
    costs: tuple[CostPair, ...]
    settings: tuple[SettingPair, ...]
    notes: tuple[str, ...] = ()


def verdict_of(gain: Number) -> str:
    """Say which run is better, where that can be said."""
    if gain.ci_low is None or gain.ci_high is None:
        return "the two cannot be told apart: the difference has no interval"
    if gain.ci_low > 0:
        return "this run is better"
    return "the other run is better" if gain.ci_high < 0 else "not shown to differ"


def better_of(metric: str) -> Literal["higher", "lower", "neither"]:
    """Say which values of a metric are good."""
    return "neither" if metric in _NEITHER else "lower" if metric in LOWER_IS_BETTER else "higher"


def costs_of(this: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[CostPair, ...]:
    """Return what two reports say of search, training and the network."""
    ours, theirs = dict(_costs(this)), dict(_costs(other))
    gone = Number(value=None, n=0, reason="not reported")
    return tuple(CostPair(name=name, this=ours.get(name, gone), other=theirs.get(name, gone))
                 for name in dict.fromkeys((*ours, *theirs)))  # fmt: skip


def _costs(report: Mapping[str, Any]) -> Sequence[tuple[str, Number]]:
    model, latency = report["model"], report["model"]["latency"]
    stages = {line["stage"]: line for line in report["cost"]["stages"]} if report["cost"] else {}
    found = [
        (f"{stage}: {words}", Number(**stages[stage][part]))
        for stage in ("search", "train")
        for part, words in (("wall", "wall seconds"), ("processor", "processor seconds"), ("energy", "energy, Wh"))
        if stage in stages
    ]
    found.append(("trials", Number(value=len(report["search"]["trials"]), n=1)))
    found.append(("weights", Number(value=model["parameters"], n=1)))
    if model["multiply_adds"] is not None:
        found.append(("multiply-adds a row", Number(value=model["multiply_adds"], n=1)))
    if latency is not None:
        where = f"milliseconds of a batch of {latency['batch']} on {latency['device']}"
        found.append((where, Number(value=latency["milliseconds"], n=1, unit="ms")))
    return found


def render_comparison(compared: Mapping[str, Any]) -> str:
    """Return the page; it reads nothing but `compared`."""
    return page_of("compare.html.j2", compared, {"difference_figure": difference_figure})


def difference_figure(compared: Mapping[str, Any]) -> Markup:
    """Differences that have an interval, so turned that to the right of the line this run is better."""
    rows = []
    for pair in compared["metrics"]:
        found = pair["difference"]
        if found["ci_low"] is None or pair["better"] == "neither":
            continue
        sign = -1 if pair["better"] == "lower" else 1
        low, high = sorted((sign * found["ci_low"], sign * found["ci_high"]))
        rows.append((metric_words(pair["name"]), sign * found["value"], low, high))
    return forest(rows, 0.0, f"{compared['verdict']}: {len(rows)} paired differences")


def comparison_lines(compared: Mapping[str, Any]) -> list[str]:
    """Return the outcome for the terminal."""
    pair = next(pair for pair in compared["metrics"] if pair["name"] == compared["metric"])
    words = metric_words(compared["metric"])
    return [
        f"{words} of this run {interval(pair['this'], 4)}, of {compared['other']['name']} {interval(pair['other'], 4)}",
        f"difference {interval(compared['gain'], 4)} ({method(compared['gain'])}): {compared['verdict']}",
        f"{len(compared['settings'])} settings differ",
    ]

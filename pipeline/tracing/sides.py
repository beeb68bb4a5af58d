"""Two runs compared: paired differences on the same test rows, costs, and what was set otherwise."""

import json
from collections.abc import Iterator, Mapping

from pipeline.configure import flat
from pipeline.core.contracts import Number, Provenance
from pipeline.core.errors import DataError
from pipeline.core.settings import EvaluateSlice
from pipeline.core.strict import read
from pipeline.evaluation import judge_for, paired_gains, rows_digest
from pipeline.reporting import Compared, MetricPair, SettingPair, Side, better_of, costs_of, verdict_of
from pipeline.tracing.recomputing import settings_of
from pipeline.tracing.runs import Run


def compared_runs(this: Run, other: Run) -> Compared:
    """Return the comparison; runs whose test rows differ are refused."""
    digest = _same_rows(this, other)
    slice_ = settings_of(this.behind, "evaluate", EvaluateSlice)
    judge = judge_for(this.card, slice_.evaluate, slice_.seed, this.said.y, this.said.rows, this.said.x)
    metrics, others = (
        {name: read(Number, number, name) for name, number in run.report["evaluate"]["metrics"].items()}
        for run in (this, other)
    )
    headline = this.report["headline"]["metric"]
    gains = paired_gains(this.card, judge, (this.said, metrics), (other.said, others), slice_.evaluate.level)
    gone = Number(value=None, n=len(this.said.y), reason="this run alone has it")
    return Compared(
        this=_side(this),
        other=_side(other),
        data=this.card.name,
        rows=len(this.said.y),
        rows_sha256=digest,
        metric=headline,
        gain=gains[headline],
        verdict=verdict_of(gains[headline]),
        metrics=tuple(
            MetricPair(name=name, this=number, other=others.get(name, gone), difference=gains[name],
                       better=better_of(name))
            for name, number in metrics.items()
        ),
        costs=costs_of(this.report, other.report),
        settings=tuple(differing(this.behind, other.behind)),
        notes=tuple(_notes(this, other)),
    )  # fmt: skip


def _same_rows(this: Run, other: Run) -> str:
    ours, theirs = (rows_digest(run.card, run.said) for run in (this, other))
    if ours != theirs:
        n, m = len(this.said.y), len(other.said.y)
        raise DataError(
            f"compare={other.name}: its {m:,} test rows of {other.card.name} are not the {n:,} of {this.card.name} "
            f"here (SHA-256 of ids and truth {theirs[:12]}, here {ours[:12]}): nothing can be paired",
            fix="compare runs with the same data, seed and splits",
        )
    return ours


def _side(run: Run) -> Side:
    return Side(
        name=run.name,
        title=run.report["title"],
        winner=run.report["headline"]["winner"],
        commands={stage: made.command for stage, made in run.behind.items()},
        code={stage: made.code for stage, made in run.behind.items()},
    )


def differing(ours: Mapping[str, Provenance], theirs: Mapping[str, Provenance]) -> Iterator[SettingPair]:
    """Yield the settings in which what the stages of two runs read differs."""
    here, there = (_settings(behind) for behind in (ours, theirs))
    for name in sorted(here.keys() | there.keys()):
        if here.get(name) != there.get(name):
            yield SettingPair(name=name, this=here.get(name), other=there.get(name))


def _settings(behind: Mapping[str, Provenance]) -> dict[str, str]:
    """Return all settings that the stages of a run read, as JSON."""
    whole = {name: value for made in behind.values() for name, value in made.params.items()}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in flat(whole).items()}


def _notes(this: Run, other: Run) -> Iterator[str]:
    for run, name in ((this, "this run"), (other, "the other run")):
        unknown = [stage for stage, made in run.behind.items() if not made.recorded]
        if unknown:
            yield f"settings of {', '.join(unknown)} of {name} are not recorded"
    changed = [stage for stage, made in this.behind.items()
               if stage in other.behind and made.recorded and other.behind[stage].recorded
               and made.code != other.behind[stage].code]  # fmt: skip
    if changed:
        yield f"the code of {', '.join(changed)} is not the same"

"""Which of a space's defaults are tried: those that keep the bounds known before training."""

import logging
from collections.abc import Mapping

import optuna

from pipeline.core.contracts import Origin
from pipeline.core.errors import SpaceError
from pipeline.space import DefaultChooser, Scalar, Space
from pipeline.tuning.constraints import Gauge, OutOfBounds
from pipeline.tuning.proposals import First, feasible

log = logging.getLogger("pipeline.search")


def defaults_within_bounds(study: optuna.Study, space: Space, first: First, gauge: Gauge) -> First:
    """Return the defaults without those that break a bound, as the study decided once: latencies vary."""
    strategy = gauge.settings.strategy
    if strategy not in ("engine", "default_only"):
        return first
    kept = study.user_attrs.get("defaults")
    if kept is None:
        kept = [_broken(space, origin, known, gauge) for origin, known in first]
        study.set_user_attr("defaults", kept)
    for reason in filter(None, kept):
        log.info("%s", reason)
    within = [default for default, reason in zip(first, kept, strict=True) if reason is None]
    if not within and strategy == "default_only":
        raise SpaceError(f"search: {kept[0]}", fix="raise the bound, or search with search.strategy=engine")
    return within


def _broken(space: Space, origin: Origin, known: Mapping[str, Scalar], gauge: Gauge) -> str | None:
    """Say which bound a default, or what else is given, breaks, if it does."""
    try:
        gauge.kept(feasible(space, DefaultChooser(known)))
    except OutOfBounds as wrong:
        who = "a candidate of an earlier study" if origin == "earlier" else "a default"
        return f"{who} is passed over: {wrong.words}"
    return None

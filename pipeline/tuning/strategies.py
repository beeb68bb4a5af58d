"""Who decides what to train next: the engine, or one of the simpler searches it is measured against."""

from collections.abc import Callable, Mapping

from pipeline.core.settings import Strategy
from pipeline.tuning.decisions import cut_default, engine, interrupted
from pipeline.tuning.view import Continue, Decision, Start, View


def default_only(view: View) -> Decision | None:
    """The default, once."""
    if not view.rows:
        return Start(view.last)
    return interrupted(view) or cut_default(view)


def to_the_end(view: View) -> Decision | None:
    """One candidate after the other, each to its end: random search and grid search."""
    for row in view.rows:
        if row.paused or (row.outcome is None and not row.busy and not row.over):
            return Continue(row.place, view.last)
    if len(view.rows) < view.n_trials and view.share < view.confirm_until:
        return Start(view.last)
    return None


def rung_by_rung(view: View) -> Decision | None:
    """One candidate after the other, each to its end unless it is stopped at a rung: Optuna's TPE and Hyperband.

    Optuna's own loop asks the pruner after each report; here the trial pauses at the rung and is asked about there.
    """
    if view.share >= view.confirm_until:
        return None
    for row in view.rows:
        if row.paused:
            return Continue(row.place, min(view.last, view.reached(row)))
        if row.outcome is None and not row.busy and not row.over:
            return Continue(row.place, 0)
    return Start(0) if len(view.rows) < view.n_trials else None


def one_rung_then_best(view: View) -> Decision | None:
    """All candidates to the first rung until half the budget is spent, then the best of them to their end, in order.

    "One epoch is often all you need": Egele et al. 2023, arXiv 2307.15422.
    """
    if again := interrupted(view):
        return Continue(again.place, 0) if isinstance(again, Continue) else again
    most = view.n_trials if view.seconds is None else 10**9
    if view.share < 0.5 and len(view.rows) < min(most, view.n_trials):
        return Start(0)
    paused = sorted(
        (row for row in view.rows if row.paused and row.last_score is not None),
        key=lambda row: (row.scores(view.rungs)[0], row.place),
    )
    wanted = max(1, len(view.rows) // view.eta) if view.seconds is None else len(view.rows)
    if paused and sum(view.reached(row) > 1 for row in view.rows) < wanted and view.share < view.confirm_until:
        return Continue(paused[0].place, view.last)
    return None


DECIDES: Mapping[Strategy, Callable[[View], Decision | None]] = {
    "engine": engine,
    "random": to_the_end,
    "grid": to_the_end,
    "tpe_hyperband": rung_by_rung,
    "one_epoch_topk": one_rung_then_best,
    "default_only": default_only,
}

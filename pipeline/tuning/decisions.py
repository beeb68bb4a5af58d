"""What to train next: functions of the table alone, so that a search that was killed decides as it would have.

Promote and resume: every candidate is trained to the first rung; of those that reached a rung the best 1/eta go on to
the next, at once when they qualify (ASHA, Li et al. 2020), from where they paused. The default goes to its end first.
"""

import math
from collections.abc import Sequence
from functools import partial
from statistics import fmean as mean

from pipeline.core.seeds import stream
from pipeline.tuning.aims import best_first, front_rows
from pipeline.tuning.choice import pooled_score
from pipeline.tuning.row import Row
from pipeline.tuning.view import FINISH_UNTIL, Continue, Decision, Refine, Repeat, Start, View

_LEADERS = 3
"""So many, and the default, are trained again."""
_HALF = 0.5
"""Of the default's seconds: what a candidate beside it has to have at least."""
_SLOW_STARTER = 8
"""Of so many promotions one goes to a candidate that does not lead: some good ones start slowly."""


def interrupted(view: View) -> Decision | None:
    """Return the job of a row that has no outcome yet: a process died in its first job."""
    for row in view.rows:
        if row.outcome is None and not row.busy and not row.over:
            refined = view.refine if row.origin == "refine" and view.refine is not None else 0
            return Continue(row.place, view.last if row.place == 0 or view.mode == "seeds" else refined)
    return None


def cut_default(view: View) -> Continue | None:
    """Return the default where a budget ended before it did, and was raised."""
    return Continue(0, view.last) if view.rows[0].paused else None


def promotion(view: View, least: int = 0) -> Continue | None:
    """Return the best row that belongs to the best 1/eta of its rung, from the highest rung with one.

    `least` rows of a rung go on however few there are. A row that broke a bound at its end leaves its share to others.
    """
    for rung in reversed(range(view.last)):
        here = view.standings[rung]
        best = [
            row for row in here[: max(least, len(here) // view.eta)] if row.paused and view.reached(row) == rung + 1
        ]
        if best:
            return _or_slow_starter(view, Continue(best[0].place, rung + 1))
    return None


def to_beat(view: View, place: int) -> tuple[float, ...] | None:
    """Return by rung the score below which the row of a place goes on at once, by the rule of `promotion`.

    None where it has to pause: with several objectives the score alone does not say it; without seconds nothing is won
    by it; later in the budget other rules hold.
    """
    if view.seconds is None or view.mode == "seeds" or view.share >= view.search_until or len(view.objectives) > 1:
        return None
    found = []
    for rung, here in enumerate(view.standings):
        others = [row for row in here if row.place != place]
        passed = others[(len(others) + 1) // view.eta - 1] if len(others) + 1 >= view.eta else None
        if passed is None:
            found.append(-math.inf)
        else:
            found.append(math.inf if passed.excess else passed.scores(view.rungs)[rung])
    return tuple(found)


def _or_slow_starter(view: View, usual: Continue) -> Continue:
    """Return the promotion, or now and then that of a row which does not lead."""
    count = sum(max(0, view.reached(row) - 1) for row in view.rows[1:])
    waiting = [row for row in view.rows if row.paused and row.last_score is not None and row.place != usual.place]
    if (count + 1) % _SLOW_STARTER or not waiting:
        return usual
    row = waiting[int(stream(view.seed, "slow starter", count).integers(len(waiting)))]
    return Continue(row.place, view.reached(row))


def finishing(view: View, until: float = FINISH_UNTIL) -> Continue | None:
    """Return the paused row that is furthest ahead of the default, if time allows its next rung.

    With several objectives: the first that is best at the rung where it stands, from the highest rung down.
    """
    paused = [row for row in view.rows if row.paused and row.last_score is not None]
    if len(view.objectives) > 1:
        paused = _in_front(view, paused)
    else:
        paused.sort(key=lambda row: (_behind(view, row), row.place))
    for row in paused:
        rung = view.reached(row)
        if view.time_for(view.cost(row, rung), until):
            return Continue(row.place, rung)
    return None


def _behind(view: View, row: Row) -> float:
    """Return how much worse than the default a row is at the highest rung that both have."""
    own, default = row.scores(view.rungs), view.rows[0].scores(view.rungs)
    rung = min(len(own), len(default)) - 1
    return own[rung] - default[rung] if rung >= 0 else own[-1]


def _in_front(view: View, paused: Sequence[Row]) -> list[Row]:
    """Return paused rows by how many of those that reached the rung where they stand are better, higher rungs first."""
    found: list[tuple[int, int, Row]] = []
    for rung in range(view.last):
        here = [row for row in view.rows if len(row.scores(view.rungs)) > rung and not row.failed]
        ahead = {row.place: i for i, row in enumerate(best_first(here, rung, view.rungs, view.objectives))}
        found += [(ahead[row.place], -rung, row) for row in paused if len(row.scores(view.rungs)) == rung + 1]
    return [row for _, _, row in sorted(found, key=lambda item: (item[0], item[1], item[2].place))]


def confirming(view: View) -> Repeat | None:
    """Return one of the best few, to be trained again with a fresh seed or on a fold: their scores are partly luck.

    Those that broke a bound are not among them: luck with their score would change nothing. With several objectives the
    best few are of the front, of which one is handed on.
    """
    done = [row for row in view.rows if row.complete and not row.excess]
    able = done if len(view.objectives) == 1 else front_rows(done, view.last, view.rungs, view.objectives)
    # All are compared by what all have.
    by = validation_score if view.folds else partial(final_score, share=view.reserve_share)
    leaders = sorted(able, key=lambda row: (by(row), row.place))[:_LEADERS]
    if done and done[0].place == 0 and done[0] not in leaders:
        leaders.append(done[0])
    for repeat in range(-1, -1 - view.folds, -1) if view.folds else range(1, view.repeats + 1):
        for row in leaders:
            had = {r.repeat for r in row.repeats}
            assert row.outcome is not None
            if repeat not in had and not row.running and view.time_for(row.outcome.seconds, view.confirm_until):
                return Repeat(row.place, repeat)
    return None


def beside_the_default(view: View) -> Repeat | None:
    """Return the default with a fresh seed for a worker that has nothing else to do while the default is trained."""
    default = view.rows[0]
    free = (repeat for repeat in range(1, view.repeats + 1) if repeat not in default.repeating)
    repeat = next(free, None) if default.busy and not default.repeats else None
    return None if repeat is None else Repeat(default.place, repeat)


def after_all(view: View) -> Start | None:
    """Return a candidate to be trained to its end where the default took less than it seemed that it would, or failed.

    Also beside the default, for a worker that is left when all its seeds are trained; its schedule ends in time.
    """
    default = view.rows[0]
    seeds = {r.repeat for r in default.repeats} | default.repeating
    if (len(seeds) < view.repeats and not default.failed) or len(view.rows) >= view.n_trials:
        return None
    takes = default.outcome.seconds if default.complete and default.outcome else _HALF * (view.trial_seconds or 0.0)
    able = default.complete or default.busy or default.failed
    return Start(view.last) if able and view.time_for(takes, view.confirm_until) else None


def validation_score(row: Row) -> float:
    """Return the score on validation rows where a row stands."""
    assert row.last_score is not None
    return row.last_score


def final_score(row: Row, share: float = 1.0) -> float:
    """Return the mean over seeds of the score that decides, on all held-out rows; `share`: of the reserve in these."""
    found = [r for r in (row.outcome, *row.repeats) if r is not None and r.state == "complete" and r.repeat >= 0]
    return mean(pooled_score(r.curve[-1][1], r.reserve_score, share) for r in found)


def engine(view: View) -> Decision | None:
    """Default, promotions, new candidates; numbers of the best, the best paused ones to their end, fresh seeds."""
    if not view.rows:
        return Start(view.last)
    if again := interrupted(view) or cut_default(view):
        return again
    if view.mode == "seeds":
        return beside_the_default(view) or confirming(view) or after_all(view)
    if view.share < view.search_until and (up := promotion(view)):
        return up
    if view.open:
        return Start(0)
    if view.refine is not None and view.refining:
        return Refine(view.refine)
    if any(row.running for row in view.rows) and view.seconds is None:
        return None  # what runs may change who leads
    if view.seconds is None and (up := promotion(view, least=1)):
        return up
    if view.seconds is not None and (up := finishing(view)):
        return up
    again = confirming(view)
    if again is None and view.seconds is not None:
        return finishing(view, view.confirm_until)  # what is left is too short for a whole training
    return again

"""Which settings mattered: the share of the scores' variance that a setting explains alone, by fANOVA.

Hutter, Hoos and Leyton-Brown 2014, "An Efficient Approach for Assessing Hyperparameter Importance", as Optuna has it. A
setting that exists under a condition only is looked at among the trials that have it, with the settings that all of
these have; its share is one of their variance, and how many have it stands beside it. What is explained are ranks, so
that a few trials that went astray do not decide alone.
"""

from collections.abc import Sequence

import numpy as np
from optuna.trial import create_trial
from scipy.stats import rankdata

from pipeline.core.contracts import Importances, SettingImportance
from pipeline.tuning.row import Row
from pipeline.tuning.samplers import best_rung, in_memory

LEAST = 20
"""Trials with a score at one rung; fewer tell nothing."""
_MOST = 200
"""The work grows with the square of the trials; of more than this every second, third … is taken."""


def importances(rows: Sequence[Row], rungs: Sequence[float], seed: int) -> Importances:
    """Return what each setting explains of the scores at the highest rung that enough trials reached."""
    rung = best_rung(rows, rungs, LEAST)
    if rung is None:
        scored = sum(not row.failed and bool(row.scores(rungs)) for row in rows)
        reason = f"insufficient evidence: {scored} trials have a score, and no rung was reached by {LEAST}"
        return Importances(trials=scored, reason=reason)
    here = [row for row in rows if not row.failed and len(row.scores(rungs)) > rung]
    with_it = {
        name: tuple(i for i, row in enumerate(here) if name in row.answers)
        for name in dict.fromkeys(name for row in here for name in row.answers)
    }
    found: dict[str, float] = {}
    for group in dict.fromkeys(with_it.values()):
        if len(group) >= LEAST:
            names = [name for name, held in with_it.items() if set(group) <= set(held)]
            shares = _shares([here[i] for i in group], names, rung, rungs, seed)
            found |= {name: share for name, share in shares.items() if with_it[name] == group}
    settings = [
        SettingImportance(name=name, share=found.get(name), trials=len(held), of_trials=len(held) / len(here))
        for name, held in with_it.items()
    ]
    ordered = sorted(settings, key=lambda setting: (setting.share is None, -(setting.share or 0.0), setting.name))
    return Importances(trials=len(here), budget=rungs[rung], settings=tuple(ordered))


def _shares(rows: Sequence[Row], names: list[str], rung: int, rungs: Sequence[float], seed: int) -> dict[str, float]:
    """Return the share of the variance of these rows' ranks that each setting explains alone."""
    from optuna.importance import FanovaImportanceEvaluator

    rows = rows[:: -(-len(rows) // _MOST)]
    ranks = rankdata([row.scores(rungs)[rung] for row in rows])
    if np.ptp(ranks) == 0:
        return dict.fromkeys(names, 0.0)
    study = in_memory(None)
    study.add_trials(
        create_trial(params=dict(row.answers), distributions=dict(row.distributions), value=float(rank))
        for row, rank in zip(rows, ranks, strict=True)
    )
    told = FanovaImportanceEvaluator(seed=seed).evaluate(study, params=names)
    return {name: round(float(share), 6) for name, share in told.items()}

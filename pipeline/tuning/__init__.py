"""The search over Optuna's ask and tell. The only package that knows Optuna."""

from pipeline.tuning.ensemble import hand_over
from pipeline.tuning.keeper import Keeper, open_keeper
from pipeline.tuning.loop import best_of, chosen_of, export, search
from pipeline.tuning.objective import Problem
from pipeline.tuning.study import only_one, open_study, shown_url, storage_url

__all__ = [
    "Keeper",
    "Problem",
    "best_of",
    "chosen_of",
    "export",
    "hand_over",
    "only_one",
    "open_keeper",
    "open_study",
    "search",
    "shown_url",
    "storage_url",
]

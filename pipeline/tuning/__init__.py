"""The search over Optuna's database and samplers. The only package that knows Optuna."""

from pipeline.tuning.choice import best_of, chosen_of
from pipeline.tuning.earlier import About, look_back
from pipeline.tuning.ensemble import hand_over
from pipeline.tuning.fits import Fits
from pipeline.tuning.front import front_of, front_words
from pipeline.tuning.jobs import Problem
from pipeline.tuning.keeper import Keeper, open_keeper
from pipeline.tuning.loop import Search
from pipeline.tuning.paired import losses_table, row_by_row
from pipeline.tuning.refusals import refusals
from pipeline.tuning.shown_files import show_weights
from pipeline.tuning.so_far import record_so_far
from pipeline.tuning.study import only_one, open_study, shown_url, storage_url

__all__ = [
    "About",
    "Fits",
    "Keeper",
    "Problem",
    "Search",
    "best_of",
    "chosen_of",
    "front_of",
    "front_words",
    "hand_over",
    "look_back",
    "losses_table",
    "only_one",
    "open_keeper",
    "open_study",
    "record_so_far",
    "refusals",
    "row_by_row",
    "show_weights",
    "shown_url",
    "storage_url",
]

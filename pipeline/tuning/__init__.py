"""The search over Optuna's database and samplers. The only package that knows Optuna."""

from pipeline.tuning.choice import best_of, chosen_of
from pipeline.tuning.jobs import Problem
from pipeline.tuning.loop import Search
from pipeline.tuning.study import only_one, open_study, shown_url, storage_url

__all__ = ["Problem", "Search", "best_of", "chosen_of", "only_one", "open_study", "shown_url", "storage_url"]

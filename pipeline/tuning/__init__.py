"""The search over Optuna's ask and tell. The only package that knows Optuna."""

from pipeline.tuning.loop import best_of, chosen_of, export, search
from pipeline.tuning.objective import Problem
from pipeline.tuning.study import only_one, open_study, shown_url, storage_url

__all__ = ["Problem", "best_of", "chosen_of", "export", "only_one", "open_study", "search", "shown_url", "storage_url"]

"""All that evaluate says of the search, in one call."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.contracts import TASKS, BaselineScores, DatasetCard, ModelCard, Number, SearchRecord
from pipeline.core.settings import EvaluateSettings
from pipeline.evaluation import Judge
from pipeline.worth.compare import Rivals, worth_of
from pipeline.worth.curse import curse_of
from pipeline.worth.random_search import random_search
from pipeline.worth.trainings import Retrained, default_scores, spread_of

Known = tuple[NDArray[np.float64], Mapping[str, Number], tuple[BaselineScores, ...]]
"""Predictions of the network that is handed on (N, K), its metrics, and the baselines' scores."""


def about_search(
    others: Retrained,
    judge: Judge,
    settings: EvaluateSettings,
    records: tuple[DatasetCard, ModelCard, SearchRecord],
    known: Known,
    row_ids: "pd.Series[str]",
) -> dict[str, Any]:
    """Return the fields of Scores on seeds, default, worth and curse."""
    (card, model, search), (p, metrics, baselines) = records, known
    headline = TASKS[card.task].headline
    default = default_scores(others, judge, p)
    blind = None
    if settings.random_search is not None:
        other = random_search(Path(settings.random_search), card.task, row_ids.to_numpy(object), search)
        blind = judge.gain(p, other.p, "random search"), other.words
    rivals = Rivals(default=default, baselines=baselines, random=blind)
    return {
        "default": default,
        "seeds": spread_of(others, judge, headline, settings.level),
        "worth": worth_of(rivals, model, search, headline),
        "curse": curse_of(card, search, model, metrics, settings.level),
    }

"""Simple models on the packed inputs: what a network must beat to be worth its cost."""

from pipeline.baselines.classification import baseline_probabilities, subsample
from pipeline.baselines.designs import design, word_counts
from pipeline.baselines.forecasts import baseline_forecasts
from pipeline.baselines.kinds import fitted, name_of
from pipeline.baselines.label_sets import baseline_label_sets
from pipeline.baselines.values import baseline_values

__all__ = [
    "baseline_forecasts",
    "baseline_label_sets",
    "baseline_probabilities",
    "baseline_values",
    "design",
    "fitted",
    "name_of",
    "subsample",
    "word_counts",
]

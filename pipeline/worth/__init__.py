"""Was the search worth it: other seeds, the default, a random search, what it cost, and how far its number flatters."""

from pipeline.worth.about import about_search
from pipeline.worth.compare import Rivals, price, worth_of
from pipeline.worth.curse import curse_of
from pipeline.worth.random_search import random_search
from pipeline.worth.trainings import (
    DEFAULT_NAME,
    DISTILLED_NAME,
    averaged,
    default_scores,
    distilled,
    retold,
    retrained,
    spread_of,
)

__all__ = [
    "DEFAULT_NAME",
    "DISTILLED_NAME",
    "Rivals",
    "about_search",
    "averaged",
    "curse_of",
    "default_scores",
    "distilled",
    "price",
    "random_search",
    "retold",
    "retrained",
    "spread_of",
    "worth_of",
]

"""The declarative language of search spaces: text to tree (`parse`), tree to candidate (`sample`)."""

from pipeline.space.choosers import (
    FAMILY,
    Chooser,
    DefaultChooser,
    GridChooser,
    MutationChooser,
    PriorChooser,
    RandomChooser,
    near_number,
)
from pipeline.space.grammar import (
    Choice,
    Condition,
    Confidence,
    Constant,
    FloatRange,
    Group,
    IntRange,
    Node,
    OneOf,
    Repeat,
    Scalar,
    Space,
)
from pipeline.space.parse import parse
from pipeline.space.rising import Rising, rising, values_above
from pipeline.space.sample import Forbidden, answers, first_answers, sample

__all__ = [
    "FAMILY",
    "Choice",
    "Chooser",
    "Condition",
    "Confidence",
    "Constant",
    "DefaultChooser",
    "FloatRange",
    "Forbidden",
    "GridChooser",
    "Group",
    "IntRange",
    "MutationChooser",
    "Node",
    "OneOf",
    "PriorChooser",
    "RandomChooser",
    "Repeat",
    "Rising",
    "Scalar",
    "Space",
    "answers",
    "first_answers",
    "near_number",
    "parse",
    "rising",
    "sample",
    "values_above",
]

"""The declarative language of search spaces: text to tree (`parse`), tree to candidate (`sample`)."""

from pipeline.space.grammar import Choice, Constant, FloatRange, Group, IntRange, Node, OneOf, Scalar, Space
from pipeline.space.parse import parse
from pipeline.space.sample import Chooser, DefaultChooser, RandomChooser, first_answers, sample

__all__ = [
    "Choice",
    "Chooser",
    "Constant",
    "DefaultChooser",
    "FloatRange",
    "Group",
    "IntRange",
    "Node",
    "OneOf",
    "RandomChooser",
    "Scalar",
    "Space",
    "first_answers",
    "parse",
    "sample",
]

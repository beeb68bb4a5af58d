"""A look at a search space before anything is trained: size, dead ends, what draws cost, how long a trial takes."""

from pipeline.linting.report import Limits, Linted, lint
from pipeline.linting.subjects import TYPICAL, Subject, subject_of, subjects_for
from pipeline.linting.words import lines

__all__ = ["TYPICAL", "Limits", "Linted", "Subject", "lines", "lint", "subject_of", "subjects_for"]

"""How far attributions are to be believed: checks with intervals, verdicts, and what maps say on the whole."""

from pipeline.scorecard.agreement import agreement
from pipeline.scorecard.checks import area_between, check, judge
from pipeline.scorecard.concepts import LEAST_ROWS, concept_direction, concept_record, concept_score, no_score
from pipeline.scorecard.guessing import no_better_than_guessing
from pipeline.scorecard.influences import influences
from pipeline.scorecard.summaries import border_share, class_words, importance, permuted_parts

__all__ = [
    "LEAST_ROWS",
    "agreement",
    "area_between",
    "border_share",
    "check",
    "class_words",
    "concept_direction",
    "concept_record",
    "concept_score",
    "importance",
    "influences",
    "judge",
    "no_better_than_guessing",
    "no_score",
    "permuted_parts",
]

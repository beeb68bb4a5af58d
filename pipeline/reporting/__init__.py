"""Records to one JSON document, the document to one page and to a few lines for the terminal."""

from pipeline.reporting.compared import (
    Compared,
    MetricPair,
    SettingPair,
    Side,
    better_of,
    comparison_lines,
    costs_of,
    render_comparison,
    verdict_of,
)
from pipeline.reporting.document import Records, document
from pipeline.reporting.hub_card import hub_card
from pipeline.reporting.page import render
from pipeline.reporting.partial import SoFar, partial_document
from pipeline.reporting.schema import report_schema
from pipeline.reporting.words import summary_lines

__all__ = [
    "Compared",
    "MetricPair",
    "Records",
    "SettingPair",
    "Side",
    "SoFar",
    "better_of",
    "comparison_lines",
    "costs_of",
    "document",
    "hub_card",
    "partial_document",
    "render",
    "render_comparison",
    "report_schema",
    "summary_lines",
    "verdict_of",
]

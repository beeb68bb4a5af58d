"""Records to one JSON document, the document to one page and to a few lines for the terminal."""

from pipeline.reporting.document import Records, document
from pipeline.reporting.page import render
from pipeline.reporting.partial import SoFar, partial_document
from pipeline.reporting.words import summary_lines

__all__ = ["Records", "SoFar", "document", "partial_document", "render", "summary_lines"]

"""What the model is for and what not, in the words of whoever answers for it: printed as written, never made up."""

from collections.abc import Iterator, Mapping

SCOPE: Mapping[str, str] = {
    "intended_use": "intended use",
    "out_of_scope": "out of scope",
    "affected_people": "people affected",
    "labels_made_by": "who made the labels",
    "human_oversight": "human oversight",
}
"""Fields of report.scope, in words."""


def unwritten(scope: Mapping[str, str | None]) -> list[str]:
    """Return the fields that nobody wrote, in words."""
    return [words for name, words in SCOPE.items() if not scope[name]]


def declared(scope: Mapping[str, str | None], *names: str) -> Iterator[str]:
    """Yield what was written in these fields, each with what it is about."""
    for name in names:
        text = (scope[name] or "").strip().rstrip(".")
        if text:
            yield f"declared {SCOPE[name]}: {text}"

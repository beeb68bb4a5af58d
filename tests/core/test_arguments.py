"""key=value of the small commands: whatever is wrong is told with what to write instead."""

from dataclasses import dataclass
from typing import Literal

import pytest

from pipeline.core.arguments import read_arguments
from pipeline.core.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """A command line."""

    input: str
    coverage: float = 0.9
    threshold: float | Literal["auto"] = "auto"
    batch: int | None = None

    def __post_init__(self) -> None:
        """Of two that contradict each other."""
        if self.batch == 0:
            raise ValueError("batch must be positive")


def asked(*arguments: str) -> Wishes:
    return read_arguments(Wishes, arguments, "ask", "input=<path>")


def test_numbers_and_words_are_told_apart_by_what_is_wanted() -> None:
    assert asked("input=7", "coverage=1") == Wishes(input="7", coverage=1.0)
    assert asked("input=a", "threshold=0.25", "batch=3") == Wishes(input="a", threshold=0.25, batch=3)
    assert asked("input=a=b", "threshold=auto") == Wishes(input="a=b")


@pytest.mark.parametrize(
    ("arguments", "message", "fix"),
    [
        (["input=a", "coverage=most"], "ask.coverage: expected a number, got a string 'most'", "coverage=0.9"),
        (["input=a", "threshold=x"], "ask.threshold: expected a number or 'auto', got a string 'x'", "threshold=auto"),
        (["input=a", "batch=many"], "ask.batch: expected an integer, got a string 'many'", "batch=<number>"),
        (["input=a", "batch=0"], "ask: batch must be positive", "input=<path>"),
        (["coverage=0.8"], "ask: key 'input' is missing", "add ask.input"),
        (["input=a", "covrage=0.8"], "ask: unknown key 'covrage'", "did you mean 'coverage'?"),
        (["a"], "ask: 'a' is not key=value", "input=<path>"),
    ],
)  # fmt: skip
def test_mistakes_have_a_fix(arguments: list[str], message: str, fix: str) -> None:
    with pytest.raises(ConfigError) as wrong:
        asked(*arguments)
    assert str(wrong.value) == f"{message}\n  fix: {fix}"

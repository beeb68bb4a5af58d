"""Long reading tells its count and rate, a bar in a terminal and lines elsewhere; short reading says nothing."""

import io
import sys

import pytest

from pipeline.datasets import progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_lines_with_the_rate_where_there_is_no_terminal(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(1000))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    caplog.set_level("INFO")
    assert list(progress.told(range(25), "images", 25)) == list(range(25))
    assert [r.message for r in caplog.records] == ["10 of 25 images, 1/s", "20 of 25 images, 1/s"]


def test_short_work_is_quiet(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert list(progress.told("abc", "images")) == ["a", "b", "c"]
    assert not caplog.records


def test_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert sum(1 for _ in progress.told(range(5), "images", 5)) == 5

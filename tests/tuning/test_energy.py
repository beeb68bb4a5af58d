"""Energy as a budget: with a made-up meter that counts 50 watts, and made-up counters."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import pipeline.tuning.clock as clocks
import pipeline.tuning.loop as loop
from pipeline.core.energy import Meter, Unmeasurable, open_meter
from pipeline.core.errors import ConfigError
from pipeline.core.settings import SearchSettings
from pipeline.space import parse
from pipeline.training.training import Training
from pipeline.tuning import Search
from pipeline.tuning.clock import Clock, kept_energy, kept_phases, kept_processor
from tests.tuning.test_search import TINY, problem, run, search_in, study

WATTS = 50.0


class Steady:
    words = "CPU"

    def __init__(self) -> None:
        self.start = time.monotonic()

    def joules(self) -> float:
        return WATTS * (time.monotonic() - self.start)


class Counted:
    words = "CPU"

    def __init__(self, *said: float) -> None:
        self.said = list(said)

    def joules(self) -> float:
        if not self.said:
            raise Unmeasurable("the counter is gone", "")
        return self.said.pop(0)


@pytest.mark.parametrize("counter", [False, True])
def test_a_bound_on_energy_that_nobody_measures_is_refused_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counter: bool
) -> None:
    root = tmp_path / "powercap"
    if counter:
        (root / "intel-rapl:0").mkdir(parents=True)
        (root / "intel-rapl:0" / "name").write_text("package-0\n")
    monkeypatch.setattr(clocks, "open_meter", partial(open_meter, root=root))
    monkeypatch.setattr(Training, "start", lambda *_: pytest.fail("trained"))
    with pytest.raises(ConfigError) as caught:
        search_in(tmp_path, energy_wh=1.0)
    why = (
        f"{root}/intel-rapl:0/max_energy_range_uj: [Errno 2] No such file or directory: "
        f"'{root}/intel-rapl:0/max_energy_range_uj'; look at what the kernel says of it"
        if counter
        else f"no counter of a CPU package in {root}; run where Linux shows RAPL counters; few virtual machines do"
    )
    assert str(caught.value) == (
        f"conf.search.energy_wh: energy is not measured ({why})\n"
        "  fix: bound search.seconds instead, or search with search.energy_wh=null"
    )
    assert study(tmp_path).trials == []
    record = Search(problem(), parse(TINY), study(tmp_path), tmp_path / "files")  # without the bound it is only said
    assert record.clock.energy_wh is None


def test_energy_ends_a_search_and_is_a_total_over_restarts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "meter_of", lambda _: Meter([Steady()]))
    settings: dict[str, Any] = {"n_trials": 100_000, "epochs": 3, "energy_wh": WATTS * 5.0 / 3600}
    search = search_in(tmp_path, **settings)
    record = search.export("db")
    assert record.energy_wh is not None
    seconds = sum(seconds for _, seconds in kept_phases(search.study))  # stored at the same moment
    assert record.energy_wh == pytest.approx(WATTS * seconds / 3600, rel=0.1)
    assert f"search.energy_wh ended the study after {len(record.trials)} of 100000 trials" in record.notes
    assert any(line.endswith(" Wh (CPU)") for line in search.summary(record))
    assert run(tmp_path, **settings) == record
    more = run(tmp_path, **(settings | {"energy_wh": WATTS * 12.0 / 3600}))
    assert len(more.trials) > len(record.trials)
    assert more.energy_wh is not None
    assert more.energy_wh > record.energy_wh


def test_joules_add_up_over_restarts(tmp_path: Path) -> None:
    first = Clock(study(tmp_path), Meter([Counted(360.0)]))
    first.keep()
    assert kept_energy(study(tmp_path)) == (0.1, "CPU")
    second = Clock(study(tmp_path), Meter([Counted(720.0)]))
    second.keep()
    assert kept_energy(study(tmp_path)) == (pytest.approx(0.3), "CPU")
    Clock(study(tmp_path), "no counter").keep()
    assert kept_energy(study(tmp_path)) == (None, "no counter")
    last = Clock(study(tmp_path), Meter([Counted(1.0)]))
    last.keep()
    assert kept_energy(study(tmp_path)) == (None, "not measured in an earlier run of this study")
    with pytest.raises(ConfigError, match="not measured in an earlier run of this study"):
        clocks.refuse_unmeasured(SearchSettings(n_trials=1, energy_wh=1.0), last)


def test_processor_seconds_add_up_and_are_unknown_after_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(clocks, "processor_seconds", lambda: now)
    first = Clock(study(tmp_path))
    now = 103.0
    first.keep()
    assert kept_processor(study(tmp_path)) is None  # workers are at work
    first.keep(ended=True)
    assert kept_processor(study(tmp_path)) == 3.0
    second = Clock(study(tmp_path))
    now = 107.5
    second.keep(ended=True)
    assert kept_processor(study(tmp_path)) == 7.5
    Clock(study(tmp_path)).keep()  # killed here
    Clock(study(tmp_path)).keep(ended=True)
    assert kept_processor(study(tmp_path)) is None


def test_energy_comes_to_seconds_at_the_average_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(study(tmp_path), Meter([Counted(0.0, 100.0, 100.0)]))
    monkeypatch.setattr(Clock, "used", 4.0)
    bound = SearchSettings(n_trials=1, energy_wh=1000.0 / 3600)
    assert clock.total(bound) == float("inf")
    assert clock.total(bound) == pytest.approx(40.0)
    assert clock.total(SearchSettings(n_trials=1, energy_wh=1000.0 / 3600, seconds=30.0)) == 30.0
    assert clock.total(SearchSettings(n_trials=1)) is None
    with pytest.raises(ConfigError, match=r"\(the counter is gone\)\n  fix: run the same command where it is measured"):
        clock.total(bound)

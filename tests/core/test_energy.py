"""Energy by hand: made-up counters in a made-up /sys, and a made-up nvidia-smi."""

import os
from pathlib import Path

import pytest

import pipeline.core.energy as energy
from pipeline.core.energy import Unmeasurable, open_meter


def domain(root: Path, name: str, of: str, microjoules: int, most: int = 1_000_000) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    for file, text in (("name", of), ("energy_uj", microjoules), ("max_energy_range_uj", most)):
        (folder / file).write_text(f"{text}\n")
    return folder / "energy_uj"


def test_packages_are_counted_once_and_nothing_else_is(tmp_path: Path) -> None:
    counters = [
        domain(tmp_path, name, of, 100_000)
        for name, of in (
            ("intel-rapl:0", "package-0"),
            ("intel-rapl:1", "package-1"),
            ("intel-rapl:0:0", "core"),
            ("intel-rapl:1:0", "dram"),
            ("intel-rapl:2", "psys"),
            ("intel-rapl-mmio:0", "package-0"),
        )
    ]
    meter = open_meter(root=tmp_path)
    for k, counter in enumerate(counters):
        counter.write_text(f"{100_000 + 10**k}\n")
    assert meter.joules() == pytest.approx(11e-6)
    assert meter.words == "CPU"


def test_a_counter_that_starts_again_goes_on(tmp_path: Path) -> None:
    counter = domain(tmp_path, "intel-rapl:0", "package-0", 900_000)
    meter = open_meter(root=tmp_path)
    found = []
    for said in (950_000, 20_000, 20_000, 990_000, 0):
        counter.write_text(str(said))
        found.append(meter.joules())
    assert found == pytest.approx([0.05, 0.12, 0.12, 1.09, 1.1])


def test_where_nothing_is_said_the_reason_is(tmp_path: Path) -> None:
    with pytest.raises(Unmeasurable, match=r"^no counter of a CPU package in .*nowhere$"):
        open_meter(root=tmp_path / "nowhere")
    domain(tmp_path, "intel-rapl:0:0", "core", 1)
    with pytest.raises(Unmeasurable, match=r"^no counter of a CPU package"):
        open_meter(root=tmp_path)
    domain(tmp_path, "intel-rapl:0", "package-0", 1).write_text("?")
    with pytest.raises(Unmeasurable, match=r"energy_uj: invalid literal"):
        open_meter(root=tmp_path)


def test_a_counter_for_root_alone_is_said_with_the_fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = domain(tmp_path, "intel-rapl:0", "package-0", 1)
    real = Path.read_text

    def refuses(path: Path) -> str:  # root, who may run this test, reads a file of any mode
        if path == counter:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_text", refuses)
    with pytest.raises(Unmeasurable) as caught:
        open_meter(root=tmp_path)
    assert str(caught.value) == f"{counter} may not be read"
    assert caught.value.fix == f"as root: chmod a+r {counter}"


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that says what stands in a file, if it is asked as the real one wants to be."""
    said = tmp_path / "said"
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    asked = "-i GPU-7 --query-gpu=power.draw --format=csv,noheader,nounits"
    program.write_text(f'#!/bin/sh\n[ "$*" = "{asked}" ] && cat {said}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return said


def test_the_power_of_a_gpu_is_summed_over_time(
    tmp_path: Path, nvidia_smi: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 100.0
    monkeypatch.setattr(energy.time, "monotonic", lambda: moment)
    nvidia_smi.write_text("80.00\n")
    meter = open_meter("GPU-7", root=tmp_path)
    assert (meter.words, meter.joules()) == ("GPU", 0.0)
    nvidia_smi.write_text("120.00\n")
    moment = 101.0
    assert meter.joules() == pytest.approx(80.0)  # too soon to ask again
    moment = 110.0
    assert meter.joules() == pytest.approx(1000.0)
    domain(tmp_path, "intel-rapl:0", "package-0", 1)
    assert open_meter("GPU-7", root=tmp_path).words == "GPU and CPU"


@pytest.mark.parametrize("said", ["[N/A]\n", "No devices were found\n", ""])
def test_a_gpu_without_power_is_not_measurable_whatever_the_cpu_says(
    tmp_path: Path, nvidia_smi: Path, said: str
) -> None:
    domain(tmp_path, "intel-rapl:0", "package-0", 1)
    nvidia_smi.write_text(said)
    with pytest.raises(Unmeasurable, match=r"^nvidia-smi says no power of GPU GPU-7 \("):
        open_meter("GPU-7", root=tmp_path)
    with pytest.raises(Unmeasurable, match=r"^nvidia-smi says no power of GPU 0 \("):
        open_meter("0", root=tmp_path)

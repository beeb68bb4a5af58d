"""Every marked command of the README runs."""

import re
from pathlib import Path

import pytest

from tests.conftest import Shell

_BLOCK = re.compile(r"<!-- (test(?:: slow)?) -->\n```console\n(.*?)```", re.S)


def commands(mark: str) -> list[str]:
    text = Path("README.md").read_text()
    lines = [line for found, block in _BLOCK.findall(text) if found == mark for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def test_no_block_lost_its_mark() -> None:
    """A typo in a mark must not silently test nothing."""
    assert (len(commands("test")), len(commands("test: slow"))) == (3, 12)
    unmarked = re.findall(r"^\$ (\S+)", re.sub(_BLOCK, "", Path("README.md").read_text()), re.M)
    assert unmarked == ["git", "make", "python", "python", "dvc", "dvc", "optuna-dashboard", "python", "curl"]


@pytest.mark.parametrize("command", commands("test"))
def test_quick_commands_run(command: str, project: Path, shell: Shell) -> None:
    assert shell(project, command).stdout


@pytest.mark.slow
def test_slow_commands_run_in_order(project: Path, shell: Shell) -> None:
    config = project / "conf/config.yaml"
    config.write_text(
        config.read_text()
        .replace("search: standard", "search: tiny")
        .replace("epochs: null", "epochs: 3")
        .replace("seeds: 3", "seeds: 1")
    )
    shell(project, "git commit -qam tiny")
    for command in commands("test: slow"):
        assert shell(project, command).stdout
    assert (project / "reports/report.html").stat().st_size > 10_000

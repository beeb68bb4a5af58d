"""The commands of data/README.md run in order, and mean what is said there about changed raw data."""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, Shell

TEXT = (ROOT / "data/README.md").read_text()
_BLOCK = re.compile(r"<!-- test: data -->\n```console\n(.*?)```", re.S)
COMMANDS = [line.removeprefix("$ ") for block in _BLOCK.findall(TEXT) for line in block.splitlines()]
RAW = Path("data/raw/flowers")


@pytest.fixture
def flowers(project: Path) -> Path:
    """A project with a small table below data/raw and a declaration of it."""
    (project / RAW).mkdir(parents=True)
    rows = [f"{i * 7 % 50 / 10},{i * 3 % 11},{'rose' if i % 2 else 'iris'}" for i in range(110)]
    (project / RAW / "flowers.csv").write_text("\n".join(["petal,leaves,kind", *rows]) + "\n")
    return project


def test_every_command_is_in_a_tested_block() -> None:
    assert len(COMMANDS) == 7
    assert re.findall(r"^\$ .*", re.sub(_BLOCK, "", TEXT), re.M) == []


def watched() -> tuple[str, str]:
    """Return the line of dvc.yaml to change, and what the page says it is to become."""
    shown = re.search(r"```yaml\n(    deps: \[.*\])\n```", TEXT)
    assert shown
    return shown[1].replace("data/raw/flowers, ", ""), shown[1]


def test_the_line_to_change_is_the_one_in_dvc_yaml() -> None:
    line, changed = watched()
    assert line != changed
    assert (ROOT / "dvc.yaml").read_text().count(line) == 1


def test_raw_data_are_one_entry_that_can_be_pushed_and_pulled(flowers: Path, shell: Shell) -> None:
    *before, pull = COMMANDS
    for command in before:
        shell(flowers, command)
    tracked = shell(flowers, "git ls-files data/raw").stdout.split()
    assert tracked == ["data/raw/.gitignore", "data/raw/flowers.dvc"]
    assert shell(flowers, "git status --short").stdout == ""
    assert any((flowers.parent / "store").rglob("*"))
    content = (flowers / RAW / "flowers.csv").read_text()
    shutil.rmtree(flowers / RAW)
    shutil.rmtree(flowers / ".dvc/cache")
    shell(flowers, pull)
    assert (flowers / RAW / "flowers.csv").read_text() == content


@pytest.mark.slow
def test_a_watched_raw_folder_runs_prepare_again_when_it_changes(flowers: Path, shell: Shell) -> None:
    shell(flowers, COMMANDS[0])
    shell(flowers, "python -m pipeline.init data/raw/flowers target=kind name=flowers")
    config = flowers / "conf/config.yaml"
    config.write_text(config.read_text().replace("data: digits", "data: flowers"))
    shell(flowers, "git add -A; git commit -qm flowers")

    def prepared() -> bool:
        return "Running stage 'prepare'" in shell(flowers, "dvc repro prepare").stdout

    def add(row: str) -> None:
        path = flowers / RAW / "flowers.csv"
        path.write_text(path.read_text() + row + "\n")

    assert prepared()
    add("1.5,3,iris")
    assert not prepared()  # as shipped, prepare lists no raw data
    pipeline = flowers / "dvc.yaml"
    pipeline.write_text(pipeline.read_text().replace(*watched()))
    assert prepared()
    assert not prepared()
    before = (flowers / "data/raw/flowers.dvc").read_text()
    add("2.5,4,rose")
    assert "data/raw/flowers" in shell(flowers, "dvc status prepare").stdout
    assert prepared()
    assert (flowers / "data/raw/flowers.dvc").read_text() != before

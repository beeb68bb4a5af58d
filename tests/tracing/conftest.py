"""One finished run for all tests here; each works in a copy of its own."""

import os
import shutil
from pathlib import Path

import pytest

from tests.tracing.finished import project_in, run_all


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run, which no test changes."""
    folder, before = tmp_path_factory.mktemp("finished"), Path.cwd()
    project_in(folder)
    os.chdir(folder)
    try:
        run_all()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run, as the current folder."""
    copy = tmp_path / "run"
    shutil.copytree(finished, copy, symlinks=True)
    monkeypatch.chdir(copy)
    return copy

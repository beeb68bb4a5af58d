"""What many tests need: one thread per process, and copies of the project."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("busy", deadline=None)  # how long a draw takes says nothing on a busy machine
hypothesis.settings.load_profile("busy")
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).parents[1]
_SHIPPED = ("conf", "data", "pipeline", "search_spaces", "tests", "dvc.yaml", ".dvcignore", ".gitignore", "Makefile",
            "README.md", "params.yaml", "pyproject.toml", "requirements.lock")  # fmt: skip

_LONGEST = ("test_pipeline.py", "test_kill.py", "test_dvc.py", "test_readme.py", "test_processes.py")
"""Files with tests of minutes."""

Shell = Callable[..., subprocess.CompletedProcess[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest tests go first, so that none of them is alone at the end."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Put loggers back as they were: commands that run within a test set them up for a terminal."""
    names = (None, "pipeline", "pipeline.search")
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    handlers = list(logging.getLogger().handlers)
    yield
    for logger, level in before:
        logger.setLevel(level)
    for handler in logging.getLogger().handlers[:]:
        if handler not in handlers:
            logging.getLogger().removeHandler(handler)


@pytest.fixture
def root() -> Path:
    """The project's top folder."""
    return ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project without artifacts, a Git and DVC repository of its own."""
    copy = tmp_path / "project"
    copy.mkdir()
    for name in _SHIPPED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "fetched"))
        elif source.exists():
            shutil.copy(source, copy / name)
    (copy / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, copy / ".dvc" / name)
    for command in ("git init -q", "git add -A", "git commit -qm start"):
        _run(copy, command)
    return copy


@pytest.fixture
def shell() -> Shell:
    """Run a command line in a folder with this Python first on PATH; returns the finished process."""
    return _run


def _run(folder: Path, command: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    identity = {
        f"GIT_{who}_{what}": "test@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    env = os.environ | identity | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | environment
    done = subprocess.run(command, shell=True, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"$ {command}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done

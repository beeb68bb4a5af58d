"""Run init, then prepare, as a user would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.configure import check
from pipeline.core.contracts import DatasetCard
from pipeline.core.settings import PrepareSlice
from pipeline.datasets import prepare_dataset
from pipeline.init import main
from pipeline.stage import compose, slice_for

Said = Callable[..., str]


def init(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """Return what init told, line by line, without its name."""
    code = main(arguments)
    told = capsys.readouterr()
    assert code == 0, told.err
    lines = [line.partition("│ ")[2] for line in told.out.splitlines()]
    assert len(lines) <= 20, lines
    return lines


def written(name: str) -> dict[str, Any]:
    """Return the keys of the file that was written; every one has a comment above it."""
    lines = Path(f"conf/data/{name}.yaml").read_text(encoding="utf-8").splitlines()
    keys = [i for i, line in enumerate(lines) if line and not line.startswith(("#", " ", "defaults"))]
    assert all(lines[i - 1].startswith("# ") for i in keys)
    found: dict[str, Any] = yaml.safe_load("\n".join(lines))
    return found


def prepared(name: str) -> DatasetCard:
    """Compose the file that was written and prepare with it."""
    config = compose([f"data={name}"])
    check(config)
    settings = slice_for("prepare", PrepareSlice, config)
    return prepare_dataset(settings.data, settings.seed).card


def people(rows: int = 120) -> pd.DataFrame:
    """Return a table with an identifier, features of people and a label."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "person": [f"P{i}" for i in range(rows)],
            "age": rng.integers(18, 80, rows),
            "sex": rng.choice(["F", "M"], rows),
            "pay": rng.normal(9, 2, rows).round(3),
            "label": rng.choice(["no", "yes"], rows),
        }
    )


def found(lines: list[str], start: str) -> str:
    """Return the one line that starts so."""
    them = [line for line in lines if line.startswith(start)]
    assert len(them) == 1, lines
    return them[0]

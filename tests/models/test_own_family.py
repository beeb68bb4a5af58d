"""The page that says how to add a family is right: it is short, it conforms, it trains."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from pipeline.core.contracts import Budget
from pipeline.models import FAMILIES, Family
from pipeline.space import DefaultChooser, first_answers, parse, sample
from pipeline.training.fit import fit
from tests.conftest import ROOT
from tests.models import test_conformance as promises
from tests.training.test_fit import CPU, DATA

PAGE = (ROOT / "pipeline/models/README.md").read_text(encoding="utf-8")
PROMISES = [
    promises.test_shapes_and_batch_of_one,
    promises.test_loss_is_finite_and_every_weight_gets_a_gradient,
    promises.test_the_size_is_known_without_making_the_weights,
    promises.test_same_seed_same_weights,
    promises.test_a_row_does_not_depend_on_its_neighbours,
    promises.test_logits_are_the_same_with_and_without_gradients,
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the page, registered by the line of the page."""
    file, line = blocks("python")
    path = tmp_path / "pixels.py"
    path.write_text(file, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("pixels", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "pixels", module)
    spec.loader.exec_module(module)
    entry: dict[str, Any] = eval(f"{{{line}}}", {"pixels": module, "Family": Family, "ImageInputs": module.ImageInputs})
    monkeypatch.setitem(FAMILIES, "pixels", entry["pixels"])  # type: ignore[arg-type]
    return module


def test_it_is_short() -> None:
    file, line = blocks("python")
    assert len([text for text in file.splitlines() if text.strip()]) <= 25
    assert len(line.splitlines()) == 1
    assert len(blocks("yaml")[0].splitlines()) <= 10


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_it_conforms(promise: Any) -> None:
    promise({"kind": "pixels", "width": 8}, promises.IMAGE)


@pytest.mark.usefixtures("own")
def test_the_default_of_its_space_trains() -> None:
    space = parse(yaml.safe_load(blocks("yaml")[0]))
    candidate = sample(space, DefaultChooser(first_answers(space)[0][1]))
    done = fit(candidate, DATA, Budget(epochs=30), seed=1, trainer=CPU)
    assert done.records[-1].val_quality > 0.9

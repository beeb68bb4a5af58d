"""A thousand random candidates of every shipped space: built, applied, and every weight that trains gets a gradient."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.contracts import (
    CategoricalColumn,
    ForecastInputs,
    ImageInputs,
    Inputs,
    NumericColumn,
    SeriesInputs,
    TableInputs,
    TextInputs,
)
from pipeline.models import build, parameter_count
from pipeline.models.cost import example_rows
from pipeline.space import RandomChooser, parse, sample
from pipeline.stage import compose
from tests.conftest import ROOT

DRAWS = 1000
OUTPUTS = 3
TINY: dict[str, Inputs] = {
    "image": ImageInputs(channels=1, height=8, width=8, mean=(0.4,), std=(0.3,)),
    "text": TextInputs(length=6, vocabulary=("the", "cat", "sat")),
    "series": SeriesInputs(channels=("x", "y"), length=12, mean=(0.0, 1.0), std=(1.0, 2.0)),
    "forecast": ForecastInputs(channels=("x", "k"), targets=1, known=1, window=12, horizon=3, season=None),
    "table": TableInputs(
        columns=(
            NumericColumn(name="a", edges=(0.0, 1.0, 2.0), median=1.0, missing=True, atoms=(1.0,)),
            CategoricalColumn(name="b", categories=("x", "y"), mode=1),
        ),
        rows=500,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TINY, "tiny"])
def test_every_draw_trains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    space = parse(compose([f"space={name}"])["space"])
    inputs = TINY.get(name, TINY["image"])
    chooser = RandomChooser(np.random.default_rng(0))
    torch.manual_seed(0)
    x, y = example_rows(inputs, 4), torch.tensor([0, 1, 0, 1])
    seen: set[Any] = set()
    for draw in range(DRAWS):
        candidate = sample(space, chooser)
        kind = candidate.architecture["kind"]
        network = build(candidate.architecture, inputs, OUTPUTS)
        out = network.members(x)
        loss = torch.nn.functional.cross_entropy(out.flatten(0, 1), y.repeat_interleave(out.shape[1], dim=0))
        loss.backward()
        trained = [p for p in network.parameters() if p.requires_grad]
        assert loss.isfinite(), f"draw {draw}: {candidate}"
        assert all(p.grad is not None for p in trained), f"draw {draw}: {candidate}"
        total = sum(float(p.grad.to_dense().abs().sum()) for p in trained if p.grad is not None)
        assert np.isfinite(total), f"draw {draw}: {candidate}"
        assert total > 0, f"draw {draw}: {candidate}"
        seen.add((kind, parameter_count(network)))
    assert {kind for kind, _ in seen} == set(space.architecture.branches)
    assert len(seen) > len(space.architecture.branches)


def test_every_shipped_space_is_drawn_from() -> None:
    assert {p.stem for p in Path(ROOT / "search_spaces").glob("*.yaml")} == {*TINY, "tiny"}

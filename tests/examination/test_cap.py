"""interpret.seconds holds for slow networks: a clock that counts predictions instead of seconds."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pipeline.attribution import Clock, subject_of
from pipeline.core.contracts import DatasetCard, NumericColumn, SeriesInputs, TableInputs
from pipeline.core.settings import InterpretSettings, InterpretSlice
from pipeline.examination import Asked, Looked, look, looking
from pipeline.models import build
from pipeline.training.data import Rows
from pipeline.training.heads import head_for
from pipeline.training.predict import outputs_of

SERIES = SeriesInputs(channels=("a", "b"), length=40, mean=(0.0, 0.0), std=(1.0, 1.0))
TABLE = TableInputs(
    columns=tuple(NumericColumn(name=n, edges=(-2.0, -1.0, 0.0, 1.0, 2.0), median=0.0, missing=False) for n in "abcdef")
)
SECONDS = 30.0
LEAST = 40
"""Predictions of the smallest possible piece of work: one row by integrated gradients, and its tests."""


class Counting(Clock):
    """As many seconds as predictions, times a pace; gradients cost what their way there costs."""

    def __init__(self, network: nn.Module, pace: float) -> None:
        super().__init__(SECONDS)
        self.pace, self.seen = pace, 0
        network.register_forward_pre_hook(lambda _, given: self._count(len(given[0])))

    def _count(self, rows: int) -> None:
        self.seen += rows

    @property
    def spent(self) -> float:
        """Since the start."""
        return self.pace * self.seen


def looked(inputs: Any, pace: float, monkeypatch: pytest.MonkeyPatch, rows: int = 300) -> tuple[Looked, Counting]:
    """Return what is found of so many test rows by a network of which a prediction takes `pace` seconds."""
    rng = np.random.default_rng(0)
    shape = (rows, 6) if inputs is TABLE else (rows, 2, 40)
    x, y = rng.normal(size=shape).astype(np.float32), rng.integers(3, size=rows)
    monkeypatch.setattr(looking, "drawn_rows", lambda card, count, seed: torch.tensor(x[:count]))
    torch.manual_seed(0)
    network = build({"kind": "cnn" if inputs is SERIES else "mlp", "width": 8}, inputs, 3).eval()
    clock = Counting(network, pace)
    head = head_for("multiclass", inputs, ())

    def says(x: torch.Tensor) -> Any:
        return np.asarray(head.predict(outputs_of(network, (x,))))

    card = DatasetCard(name="t", task="multiclass", classes=("a", "b", "c"), inputs=inputs, rows={}, class_rows={},
                       audit=(), source_digest="", notes=())  # fmt: skip
    asked = Asked(
        card, network, Rows(x, y, inputs, "cpu"), y, subject_of(card, y, rng.dirichlet(np.ones(3), rows)), says
    )
    return look(asked, InterpretSlice(seed=7, interpret=InterpretSettings(seconds=SECONDS)), clock), clock


@pytest.mark.parametrize("pace", [1e-3, 1e-2, 0.05, 0.3, 1.0])
@pytest.mark.parametrize("inputs", [SERIES, TABLE], ids=["series", "table"])
def test_predictions_end_with_the_seconds(inputs: Any, pace: float, monkeypatch: pytest.MonkeyPatch) -> None:
    found, clock = looked(inputs, pace, monkeypatch)
    assert clock.spent <= 1.1 * SECONDS + LEAST * pace
    assert found.found.attributions[0].method == "integrated_gradients"
    if pace >= 1e-2:
        assert found.reduced[0].startswith("interpret.seconds (30 s) left time for ")


def test_nothing_is_reduced_where_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = looked(SERIES, 1e-6, monkeypatch)
    assert found.reduced == ()
    assert [item.method for item in found.found.attributions] == [
        "integrated_gradients", "feature_ablation", "temporal_saliency_rescaling"
    ]  # fmt: skip
    assert len(found.picked) == 24


def test_of_the_slowest_networks_one_method_and_few_rows_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = looked(SERIES, 1.0, monkeypatch)
    assert [item.method for item in found.found.attributions] == ["integrated_gradients"]
    assert len(found.picked) == 1
    assert "1 of 24 rows" in found.reduced[0]
    assert "no feature ablation; no temporal saliency rescaling" in found.reduced[0]

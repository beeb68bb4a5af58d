"""Bounds on test rows: exact amounts hold or do not, estimated ones only where the interval is on one side."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from pipeline.core.contracts import AuditFeature, Latency, Number
from pipeline.evaluation import amounts_on_test, constraint_checks, exact_amounts
from pipeline.evaluation.constraints import verdict_on
from pipeline.metrics.gaps import largest_gap
from pipeline.training.timing import bounded_latency
from tests.evaluation.test_judges import card
from tests.reporting.records import records


@pytest.mark.parametrize(
    ("amount", "verdict"),
    [
        (Number(value=10.0, n=1), "holds"),
        (Number(value=10.1, n=1), "does not hold"),
        (Number(value=5.0, ci_low=1.0, ci_high=10.0, n=9), "holds"),
        (Number(value=5.0, ci_low=1.0, ci_high=10.1, n=9), "cannot tell"),
        (Number(value=15.0, ci_low=10.0, ci_high=20.0, n=9), "cannot tell"),
        (Number(value=15.0, ci_low=10.1, ci_high=20.0, n=9), "does not hold"),
        (Number(value=None, n=0, reason="no_rows"), "cannot tell"),
    ],
)
def test_a_verdict_needs_the_whole_interval_on_one_side(amount: Number, verdict: str) -> None:
    assert verdict_on(10.0, amount) == verdict


def test_a_check_stands_beside_what_the_search_saw() -> None:
    search = records().search
    amounts = {"parameters": Number(value=123, n=1), "calibration_error": Number(value=0.5, n=90)}
    first, second = constraint_checks(search, amounts)
    assert (first.name, first.bound, first.search, first.verdict) == ("parameters", 2000.0, 123.0, "holds")
    assert (second.bound, second.search, second.verdict) == (0.125, 0.0625, "does not hold")
    paused = replace(search, trials=(replace(search.trials[0], amounts={}), *search.trials[1:]))
    assert constraint_checks(paused, amounts)[0].search is None
    assert paused.feasible is None
    assert search.feasible is True


def test_what_is_counted_has_no_interval() -> None:
    exact = exact_amounts(records().model)
    assert {name: (number.value, number.ci_low) for name, number in exact.items()} == {
        "parameters": (123, None), "size_mb": (4 * 123 / 1e6, None), "multiply_adds": (456, None),
    }  # fmt: skip
    assert exact_amounts(replace(records().model, multiply_adds=None))["multiply_adds"].reason == "not_counted"


def test_gaps_look_at_sensitive_features_of_test_rows_alone() -> None:
    y, p = np.arange(200) % 2, np.random.default_rng(0).dirichlet([1, 1], 200)
    sides = np.where(np.arange(200) < 80, "left", "right").astype(object)
    rows = pd.DataFrame({"audit.side": sides, "audit.slice": np.where(p[:, 1] > 0.5, "yes", "no")})
    features = (
        AuditFeature(name="side", role="sensitive", source="", groups=("left", "right")),
        AuditFeature(name="slice", role="slice", source="", groups=("no", "yes")),
    )
    people = card(task="binary", classes=("n", "p"), audit=features)
    names = {"parameters": 1.0, "calibration_error": 0.1, "demographic_parity_gap": 0.1}
    ece = Number(value=0.1, n=200)
    found = amounts_on_test(names, people, rows, y, p, {"ece": ece}, 0.9)
    gap = largest_gap("demographic_parity_gap", y, p.argmax(1), {"side": sides}, 0.9)
    assert found == {"demographic_parity_gap": gap, "calibration_error": ece}
    assert gap.value is not None
    assert gap.value < 1  # that of the slice, which is no feature of people


class Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(x))
        return x


def test_latency_is_measured_at_the_rows_of_the_bound_where_the_network_was_trained() -> None:
    model, network, x = records().model, Counting(), np.zeros((3, 2), np.float32)
    assert bounded_latency(model, 5, network, x).n == 50
    assert set(network.seen) == {5}
    gpu = replace(model, latency=Latency(batch=4, device="cuda", threads=1, milliseconds=1.25, spread=0.5))
    assert bounded_latency(gpu, 4, network, x) == Number(value=1.25, n=1, unit="ms")
    assert bounded_latency(gpu, 5, network, x) == Number(value=None, n=0, reason="measured_elsewhere")
    assert bounded_latency(replace(model, latency=None), 5, network, x).reason == "measured_elsewhere"

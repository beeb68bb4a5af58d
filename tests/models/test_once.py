"""What is found in rows once: by whom, for how long, and that networks start as if they had looked themselves."""

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.core.contracts import ForecastInputs, Inputs
from pipeline.models import Network, build
from pipeline.models.cost import example_rows as rows
from pipeline.models.once import _FOUND, once
from pipeline.training.data import Rows
from tests.models.test_conformance import CASES


class Thing:
    """Something that can be held weakly."""


def counting() -> Iterator[int]:
    yield from range(1000)


def test_it_is_found_once_for_the_same_rows_and_key() -> None:
    first, second, numbers = Thing(), Thing(), counting()
    assert [once(first, "a", lambda: next(numbers)) for _ in range(3)] == [0, 0, 0]
    assert once(first, ("a", 1), lambda: next(numbers)) == 1
    assert once(second, "a", lambda: next(numbers)) == 2
    assert once(first, "a", lambda: next(numbers)) == 0


def test_the_oldest_goes_and_nothing_outlives_its_rows() -> None:
    thing, numbers = Thing(), counting()
    for key in range(17):
        once(thing, key, lambda: next(numbers))
    assert once(thing, 16, lambda: next(numbers)) == 16
    assert once(thing, 0, lambda: next(numbers)) == 17
    before = len(_FOUND)
    del thing
    gc.collect()
    assert len(_FOUND) == before - 1


def training_rows(inputs: Inputs) -> Rows:
    torch.manual_seed(3)
    if isinstance(inputs, ForecastInputs):
        steps = torch.randn(len(inputs.channels), inputs.window + 80).numpy()
        return Rows(steps, np.arange(inputs.window, inputs.window + 70), inputs, "cpu")
    return Rows(rows(inputs, 40).numpy(), np.arange(40) % 3, inputs, "cpu")


@pytest.mark.parametrize(("architecture", "inputs"), CASES)
def test_who_comes_later_starts_as_if_alone(architecture: dict[str, Any], inputs: Inputs) -> None:
    def started(of: Rows, seed: int) -> Network:
        torch.manual_seed(5)
        network = build(architecture, inputs, 3)
        network.start_from(of, seed)
        return network

    def same(one: Network, other: Network) -> bool:
        return all(torch.equal(value, other.state_dict()[name]) for name, value in one.state_dict().items())

    shared = training_rows(inputs)
    for seed in (1, 2, 1):
        changed = started(shared, seed)
        assert same(changed, started(training_rows(inputs), seed))
        with torch.no_grad():
            for value in (*changed.parameters(), *changed.buffers()):
                value.zero_()  # what a network does to its own weights reaches nobody else

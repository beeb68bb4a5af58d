"""Familiarity of outputs against sums over all classes and all sets of labels."""

from itertools import product

import numpy as np
import pytest
import torch

from pipeline.training.familiarity import familiarity, familiarity_floor, free_energy

OUT = torch.tensor(np.random.default_rng(0).normal(0, 3, (50, 4)))


def test_the_free_energy_of_classes_sums_over_classes_and_of_labels_over_their_sets() -> None:
    assert free_energy(OUT, "multiclass") == pytest.approx(np.log(np.exp(OUT.numpy()).sum(axis=1)))
    sets = np.array(list(product([0, 1], repeat=4)))
    assert free_energy(OUT, "multilabel") == pytest.approx(np.log(np.exp(OUT.numpy() @ sets.T).sum(axis=1)))


def test_what_a_task_has() -> None:
    assert list(familiarity(OUT, "binary")) == ["largest_probability", "free_energy"]
    largest = familiarity(OUT, "multiclass")["largest_probability"]
    assert largest == pytest.approx(OUT.softmax(1).max(1).values.numpy())
    assert list(familiarity(OUT, "multilabel")) == ["free_energy"]
    assert familiarity(OUT, "regression") == familiarity(OUT, "forecast") == {}


def test_a_twentieth_of_the_rows_lies_below_the_floor() -> None:
    out = torch.randn(1001, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    floor = familiarity_floor(out, "multiclass")
    assert (free_energy(out, "multiclass") < floor).sum() == 50
    assert familiarity_floor(out, "regression") is None

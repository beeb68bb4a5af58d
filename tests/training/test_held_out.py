"""What train keeps of validation rows: strange as computed by hand, of the reserve where there is one."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.contracts import Budget, DatasetCard
from pipeline.training.data import Arrays
from pipeline.training.heads import ClassHead, LabelSetHead
from pipeline.training.held_out import _CELLS, held_out
from pipeline.training.predict import predict
from tests.training.test_fit import DATA, on_cpu, stripes, train

CARD = DatasetCard(name="t", task="binary", classes=("across", "down"), inputs=DATA.inputs, rows={}, class_rows={},
                   audit=(), source_digest="", notes=())  # fmt: skip
NETWORK = train(Budget(epochs=2)).network
RESERVE = replace(DATA, reserve=stripes(40, 2))


def test_the_reserve_is_kept_where_there_is_one_and_thresholds_see_all() -> None:
    record, strange = held_out(CARD, RESERVE, NETWORK, refit=False, ordered=False)
    assert RESERVE.reserve is not None
    p = predict(NETWORK, on_cpu(RESERVE.reserve), ClassHead())
    by_hand = np.sort(1 - p[np.arange(40), RESERVE.reserve.y])
    assert strange[:, 0] == pytest.approx(by_hand)
    assert (record.split, record.rows, record.threshold_rows, record.notes) == ("reserve", 40, 120, ())
    assert set(record.thresholds) == {"balanced_accuracy", "f1"}
    assert all(0 < cut < 1 for cut in record.thresholds.values())


def test_what_weakens_the_promise_is_noted() -> None:
    record, strange = held_out(CARD, DATA, NETWORK, refit=True, ordered=True)
    assert (record.split, record.rows, len(strange)) == ("val", 80, 80)
    assert [note.split(":")[0] for note in record.notes] == [
        "calibrated on the validation rows that also chose the model",
        "calibrated with the network before it was trained once more with the validation rows",
        "calibration rows lie before test rows in time",
    ]


def test_other_tasks_have_no_threshold() -> None:
    record, _ = held_out(replace(CARD, task="multiclass"), DATA, NETWORK, refit=False, ordered=False)
    assert (record.thresholds, record.threshold_rows) == ({}, 0)


def test_label_sets_are_as_strange_as_their_least_likely_label() -> None:
    sets = replace(DATA, val=Arrays(DATA.val.x, np.eye(2, dtype=int)[DATA.val.y]))
    record, strange = held_out(replace(CARD, task="multilabel"), sets, NETWORK, refit=False, ordered=False)
    p = predict(NETWORK, on_cpu(sets.val), LabelSetHead())
    assert (record.rows, record.thresholds) == (80, {})
    assert strange[:, 0] == pytest.approx(np.sort(1 - p[np.arange(80), DATA.val.y]))


def test_of_very_many_numbers_every_second_row_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _CELLS >= 100_000
    monkeypatch.setattr("pipeline.training.held_out._CELLS", 40)
    record, strange = held_out(CARD, DATA, NETWORK, refit=False, ordered=False)
    p = predict(NETWORK, on_cpu(DATA.val), ClassHead())
    assert (record.rows, len(strange)) == (40, 40)
    assert strange[:, 0] == pytest.approx(np.sort((1 - p[np.arange(80), DATA.val.y])[::2]))

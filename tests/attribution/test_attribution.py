"""Attributions against closed forms, and checks that must fail what deserves to fail."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.attribution import (
    Attribution,
    Clock,
    Subject,
    Task,
    baseline_for,
    choose_rows,
    completeness,
    explained,
    gradients,
    partners,
    subject_of,
)
from pipeline.attribution.budget import Costs
from pipeline.attribution.faithfulness import deletion, random_deletion
from pipeline.attribution.prechecks import agrees
from pipeline.attribution.task import removed
from pipeline.core.contracts import (
    CategoricalColumn,
    DatasetCard,
    ImageInputs,
    Number,
    NumericColumn,
    SeriesInputs,
    TableInputs,
    TextInputs,
)
from pipeline.core.seeds import stream
from pipeline.models import FAMILIES, build
from pipeline.models.network import stem_for
from pipeline.scorecard import area_between, judge

IMAGE = ImageInputs(channels=1, height=6, width=6, mean=(0.25,), std=(0.5,))
TABLE = TableInputs(
    columns=(
        NumericColumn(name="a", edges=(0.0, 1.0, 2.0), median=0.5, missing=True),
        CategoricalColumn(name="b", categories=("x", "y", "z"), mode=2),
        NumericColumn(name="c", edges=(0.0, 1.0), median=0.5, missing=True),
    )
)


class Linear(nn.Module):
    """Logits W x of flat images; the stem is the identity."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.stem = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T


def explain(task: Task, steps: int) -> tuple[tuple[Attribution, ...], str]:
    found = explained(task, partners(task.network, task.inputs, task.x), steps, Clock(1e9), Costs(0.0, 0.0))
    return found.attributions, found.note


def image_task(network: nn.Module, rows: int = 12) -> Task:
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(rows, 1, 6, 6, generator=rng)
    with torch.no_grad():
        target = network(x).argmax(1)
    return Task(network, IMAGE, x, target, baseline_for(IMAGE, x)[0])


class Steps(nn.Module):
    """Logits that count pixels above a half: what they jump by is seen by no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([(x > 0.5).float().sum((1, 2, 3)) + 0 * x.sum((1, 2, 3)), x.mean((1, 2, 3))], dim=1)


def table_task(kind: str = "transformer") -> Task:
    torch.manual_seed(0)
    network = build({"kind": kind, "width": 8}, TABLE, 2).eval()
    x = torch.tensor([[1.7, 1.0, 0.1, 0.0, 1.0], [0.2, 3.0, 0.9, 1.0, 0.0], [0.5, 0.0, 0.4, 0.0, 0.0]])
    return Task(network, TABLE, x, torch.tensor([0, 1, 1]), baseline_for(TABLE, x)[0])


@pytest.mark.parametrize("kind", ["image", "table"])
def test_gradients_in_parts_are_those_of_all_rows_at_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    task = image_task(Linear(torch.randn(3, 36).square())) if kind == "image" else table_task()
    whole = gradients.integrated_gradients(task, 16)[0].values
    monkeypatch.setattr(gradients, "_MOST_BYTES", 2.5 * gradients.saved_bytes(task))
    at_once: list[int] = []
    real = gradients._gradients_of

    def noted(part: Task, steps: int, most: int) -> Any:
        at_once.append(most)
        return real(part, steps, most)

    monkeypatch.setattr(gradients, "_gradients_of", noted)
    assert gradients.integrated_gradients(task, 16)[0].values == pytest.approx(whole, abs=1e-6)
    assert set(at_once) == {2}


def test_what_a_row_keeps_is_counted_without_weights() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 50), nn.Sigmoid(), nn.Linear(50, 3))
    # the linear layers keep their inputs (36 and 50 numbers), the sigmoid its output, which is the second of them
    assert gradients.saved_bytes(image_task(network)) == 4 * (36 + 50)


def test_steps_do_not_double_where_that_does_not_help() -> None:
    _, steps, why = gradients.integrated_gradients(image_task(Steps()), 8)
    assert (steps, why) == (16, "; twice as many hardly added up better")


def test_steps_do_not_double_beyond_the_seconds() -> None:
    _, steps, why = gradients.integrated_gradients(image_task(Steps()), 8, seconds=1e-9)
    assert (steps, why) == (8, "; twice as many would have taken longer than 1e-09 s in all")


def test_a_linear_model_gets_weight_times_change_exactly() -> None:
    weight = torch.randn(3, 36, generator=torch.Generator().manual_seed(1))
    task = image_task(Linear(weight))
    found = explain(task, 4)[0][0]
    expected = weight[task.target].view(-1, 1, 6, 6) * (task.x - task.baseline)
    assert found.values == pytest.approx(expected.double().numpy(), abs=1e-5)
    assert completeness(task, found.values).max() < 1e-4


def test_a_planted_pixel_is_found_by_every_method() -> None:
    weight = torch.zeros(2, 36)
    weight[1, 14], weight[0, 14] = 8.0, -8.0
    task = image_task(Linear(weight))
    for attribution in explain(task, 8)[0]:
        size = np.abs(attribution.values).reshape(12, -1)
        assert (size[:, 14] >= size.max(axis=1) - 1e-9).all(), attribution.method


def test_a_random_map_is_not_called_faithful() -> None:
    weight = torch.randn(2, 36, generator=torch.Generator().manual_seed(2)) * 3
    task = image_task(Linear(weight), rows=24)
    real = explain(task, 16)[0][0]
    noise = Attribution("noise", stream(3).normal(size=real.values.shape), False)
    backwards = Attribution("backwards", -real.values, False)
    random = random_deletion(task, real, 12, 5, stream(4))
    removal = {a.method: deletion(task, a, 12, random) for a in (real, noise, backwards)}
    gain = {method: area_between(one.random, one.curves) for method, one in removal.items()}
    shown = {method: area_between(one.insertion, one.random[:, ::-1]) for method, one in removal.items()}
    assert gain["integrated_gradients"].mean() > 0.1
    assert abs(gain["noise"].mean()) < 0.05
    assert gain["backwards"].max() < 0
    assert shown["integrated_gradients"].min() > 0
    assert abs(shown["noise"].mean()) < shown["integrated_gradients"].mean() / 2
    assert shown["backwards"].max() < 0


@pytest.mark.parametrize("kind", [kind for kind, family in FAMILIES.items() if TableInputs in family.reads])
def test_gradients_of_tables_add_up_for_every_family(kind: str) -> None:
    task = table_task(kind)
    assert agrees(task)
    before = {name: value.clone() for name, value in task.network.state_dict().items()}
    found, note = explain(task, 64)
    assert note.startswith("integrated gradients used")
    assert found[0].values.shape == found[1].values.shape == (3, 3)
    assert np.median(completeness(task, found[0].values)) <= 0.05
    assert all(torch.equal(value, before[name]) for name, value in task.network.state_dict().items())


def test_ablation_of_one_column_moves_its_missing_mark_too() -> None:
    task = table_task()
    gone = torch.zeros(3, 3, dtype=torch.bool)
    gone[:, 0] = True
    without = removed(task, gone)
    assert without[:, 0].tolist() == [0.5, 0.5, 0.5]
    assert without[:, 3].tolist() == [0.0, 0.0, 0.0]
    assert torch.equal(without[:, [1, 2, 4]], task.x[:, [1, 2, 4]])
    with torch.no_grad():
        expected = task.outputs(task.x) - task.outputs(without)
    assert explain(task, 8)[0][1].values[:, 0] == pytest.approx(expected.double().numpy(), abs=1e-5)


def test_the_baseline_of_a_table_is_its_usual_row() -> None:
    baseline, words = baseline_for(TABLE, torch.zeros(2, 5))
    assert baseline.tolist() == [[0.5, 2.0, 0.5, 0.0, 0.0]] * 2
    assert words == "median of each number, most frequent value of each category"


def number(value: float, low: float | None, high: float | None) -> Number:
    return Number(value=value, ci_low=low, ci_high=high, n=24)


GOOD = {"completeness": number(0.01, 0.0, 1.0), "deletion_gain": number(0.2, 0.1, 0.3),
        "insertion_gain": number(0.2, 0.1, 0.3), "infidelity_gain": number(0.2, 0.1, 0.3),
        "randomised": number(0.1, 0.0, 0.2), "other_baseline": number(0.8, 0.7, 0.9)}  # fmt: skip
NOTHING = Number(value=None, n=0, reason="no time left")


@pytest.mark.parametrize(
    ("changed", "promises", "verdict", "reason"),
    [
        ({}, True, "pass", "better than random order, and contributions add up"),
        ({}, False, "pass", "better than random order"),
        ({"randomised": NOTHING, "other_baseline": NOTHING}, False, "pass", "better than random order"),
        ({"completeness": number(0.1, 0, 1)}, True, "warn",
         "contributions miss the change of the output by 10% in the median"),
        ({"completeness": number(0.3, 0, 1)}, True, "fail",
         "contributions miss the change of the output by 30% in the median"),
        ({"completeness": number(4.0, 0, 1)}, False, "pass", "better than random order"),
        ({"deletion_gain": number(0.01, -0.1, 0.1)}, True, "warn", "not shown to be better than random order"),
        ({"deletion_gain": number(-0.2, -0.3, -0.1)}, True, "fail",
         "removing what it calls important changes the prediction less than removing at random"),
        ({"insertion_gain": number(-0.2, -0.3, -0.1)}, True, "fail",
         "showing what it calls important keeps less of the prediction than showing at random"),
        ({"deletion_gain": number(0.2, None, None)}, True, "not_assessed", "too few rows for an interval"),
        ({"infidelity_gain": number(-0.2, -0.3, -0.1)}, False, "fail",
         "its sums say less of what removing groups of inputs does than the same map in random places"),
        ({"infidelity_gain": number(0.3, None, None)}, False, "pass", "better than random order"),
        ({"infidelity_gain": number(0.0, None, None)}, False, "warn",
         "its sums are not shown to say more than a map in random places"),
        ({"infidelity_gain": number(0.0, -0.1, 0.1)}, False, "warn",
         "its sums are not shown to say more than a map in random places"),
        ({"randomised": number(0.5, 0.4, 0.6)}, False, "warn",
         "maps of a network that has learned nothing look alike (rank correlation 0.50)"),
        ({"randomised": number(0.9, 0.8, 1.0)}, False, "fail",
         "maps of a network that has learned nothing look alike (rank correlation 0.90)"),
        ({"other_baseline": number(0.2, 0.1, 0.3)}, False, "warn",
         "another baseline gives other maps (rank correlation 0.20)"),
        ({"other_baseline": number(0.2, 0.1, 0.3), "randomised": number(0.9, 0.8, 1.0)}, False, "fail",
         "maps of a network that has learned nothing look alike (rank correlation 0.90)"),
    ],
)  # fmt: skip
def test_the_worst_of_all_checks_is_the_verdict(
    changed: dict[str, Number], promises: bool, verdict: str, reason: str
) -> None:
    assert judge(GOOD | changed, promises) == (verdict, reason)


def asked(y: np.ndarray, p: np.ndarray) -> Subject:
    card = DatasetCard(
        name="t", task="multiclass", classes=tuple("abcdefgh"[: p.shape[1]]), inputs=TABLE, rows={}, class_rows={},
        audit=(), source_digest="", notes=(),
    )  # fmt: skip
    return subject_of(card, y, p)


def test_rows_are_chosen_by_the_rule_and_differ() -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=200)
    y = np.where(rng.random(200) < 0.7, p.argmax(1), rng.integers(3, size=200))
    chosen = choose_rows(asked(y, p), 16, stream(1))
    assert chosen == choose_rows(asked(y, p), 16, stream(1))
    assert len({i for i, _ in chosen}) == 16
    wrong = [i for i, why in chosen if why == "confident mistake"]
    assert len(wrong) == 4
    assert all(p[i].argmax() != y[i] for i in wrong)
    all_right = choose_rows(asked(p.argmax(1), p), 16, stream(1))
    assert len(all_right) == 16
    assert len(choose_rows(asked(y[:5], p[:5]), 16, stream(1))) == 5


TEXT = TextInputs(length=6, vocabulary=("good", "bad", "film"))
SERIES = SeriesInputs(channels=("a", "b"), length=20, mean=(0.5, -1.0), std=(1.0, 2.0))


def sequence_task(kind: str, inputs: TextInputs | SeriesInputs) -> Task:
    torch.manual_seed(0)
    network = build({"kind": kind} | ({"groups": 8} if kind == "kernels" else {"width": 8}), inputs, 2).eval()
    if isinstance(inputs, TextInputs):
        x = torch.tensor([[2, 4, 0, 0, 0, 0], [3, 1, 4, 2, 2, 3], [0, 0, 0, 0, 0, 0]], dtype=torch.int32)
    else:
        x = torch.randn(3, 2, 20, generator=torch.Generator().manual_seed(1))
        x[0, :, 12:] = torch.nan
        x[1, 0, 3] = torch.nan
    with torch.no_grad():
        target = network(x).argmax(1)
    return Task(network, inputs, x, target, baseline_for(inputs, x)[0])


JUMPS = ("kernels",)
"""Families whose outputs jump where another pattern wins: gradients do not add up there, and interpret says so."""


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [(kind, inputs) for kind, f in FAMILIES.items() for inputs in (TEXT, SERIES) if isinstance(inputs, f.reads)],
)
def test_sequences_add_up_and_what_is_not_there_gets_nothing(kind: str, inputs: TextInputs | SeriesInputs) -> None:
    task = sequence_task(kind, inputs)
    assert agrees(task)
    summed, ablation, *others = explain(task, 64)[0]
    assert len(others) == isinstance(inputs, SeriesInputs)  # temporal saliency rescaling
    assert all(np.isfinite(other.values).all() for other in others)
    absent = (task.x == 0).numpy() if inputs is TEXT else task.x.isnan().numpy()
    for attribution in (summed, ablation):
        assert attribution.values.shape == absent.shape
        assert np.isfinite(attribution.values).all()
    assert np.abs(summed.values[absent]).max() == 0
    assert (np.median(completeness(task, summed.values)[:2]) <= 0.06) == (kind not in JUMPS)


def test_the_baseline_of_a_text_keeps_its_length() -> None:
    task = sequence_task("cnn", TEXT)
    assert task.baseline.tolist() == [[1, 1, 0, 0, 0, 0], [1] * 6, [0] * 6]
    gone = torch.tensor([[True] + [False] * 5] * 3)
    assert removed(task, gone).tolist()[0] == [1, 4, 0, 0, 0, 0]


def test_a_planted_word_and_a_planted_window_are_found() -> None:
    class Planted(nn.Module):
        """Sees one thing only: the word 2, or steps 5 to 9 of channel b."""

        def __init__(self, inputs: TextInputs | SeriesInputs) -> None:
            super().__init__()
            self.stem = stem_for(inputs, 4)
            self.text = isinstance(inputs, TextInputs)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.stem(x)
            seen = (
                (tokens[:, :, :-1] @ self.stem.embedding.weight[2]).sum(1) if self.text else tokens[:, 5:10, 1].sum(1)
            )
            return torch.stack([-seen, seen], 1)

    for inputs in (TEXT, SERIES):
        network = Planted(inputs).eval()
        if isinstance(inputs, TextInputs):
            with torch.no_grad():
                network.stem.embedding.weight[:] = torch.eye(5, 4) * torch.tensor([[0.0], [0.0], [1.0], [1.0], [1.0]])
            x = torch.tensor([[3, 2, 4, 3, 4, 0]] * 2, dtype=torch.int32)
        else:
            x = torch.randn(2, 2, 20, generator=torch.Generator().manual_seed(2)) + 3
        task = Task(network, inputs, x, torch.ones(2, dtype=torch.long), baseline_for(inputs, x)[0])
        for attribution in explain(task, 8)[0]:
            size = np.abs(attribution.values).reshape(2, *x.shape[1:])
            if inputs is TEXT:
                assert size.argmax(1).tolist() == [1, 1]
            else:
                assert size[:, 1, 5:10].sum() > 0.7 * size.sum(), attribution.method

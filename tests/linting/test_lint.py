"""The linter says of spaces with planted faults what was planted, and of costs what can be counted by hand."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from pipeline.core.contracts import ImageInputs, SeriesInputs, TableInputs, Target, TextInputs
from pipeline.core.errors import SpaceError
from pipeline.core.settings import SearchSettings, TrainerSettings
from pipeline.core.strict import plain
from pipeline.linting import TYPICAL, Limits, Linted, Subject, lines, lint, subjects_for
from pipeline.linting.timing import random_rows, seconds_per_step
from pipeline.linting.tree import Size, questions, size_of
from pipeline.models import FAMILIES
from pipeline.space import DefaultChooser, parse, sample

IMAGE = Subject(
    "small images",
    ImageInputs(channels=2, height=9, width=12, mean=(0.3, 0.5), std=(0.4, 0.2)),
    3,
    "multiclass",
    rows=500,
)
TABLE = TYPICAL["table"]
CPU = TrainerSettings(device="cpu", precision="fp32")
CNN = {"width": {"choice": [4, 8]}, "stages": 1, "depth": {"int": [1, 2], "default": 1}}
FAULTY = {
    "architecture": {
        "default": "cnn",
        "cnn": {"width": 8, "stages": 1, "kernel": {"choice": [3, 4, 5]}},
        "transfomer": {"width": 8},
        "transformer": {"width": {"choice": [8, 10]}, "heads": {"choice": [2, 4]}, "depth": 1},
    },
    "optimizer": {"lr": {"float": [1e-4, 0.1]}, "batch_size": 16},
}


def linted(tree: Mapping[str, Any], subject: Subject = IMAGE, draws: int = 60, **search: Any) -> Linted:
    settings = SearchSettings(**{"n_trials": 1, "epochs": 4} | search)
    return lint(parse(tree), "here", (subject,), Limits(draws=draws, seed=1, search=settings, trainer=CPU))


def test_the_size_is_the_sum_over_branches_and_the_product_side_by_side() -> None:
    space = parse(
        {
            "architecture": {
                "cnn": {"width": {"choice": [4, 8, 16]}, "depth": {"int": [1, 9], "step": 2}},
                "rnn": {"width": 8, "dropout": {"float": [0.0, 0.5]}},
            },
            "optimizer": {"lr": {"float": [1e-4, 1e-2], "log": True}, "batch_size": {"choice": [16, 32]}},
        }
    )
    assert size_of(space.architecture) == Size(different=3 * 5 + 1, continuous=1)
    assert size_of(space.root) == Size(different=(3 * 5 + 1) * 2, continuous=2)
    assert [q.name for q in questions(space)] == [
        "architecture.kind", "architecture.cnn.width", "architecture.cnn.depth", "architecture.rnn.dropout",
        "optimizer.lr", "optimizer.batch_size",
    ]  # fmt: skip


def test_the_size_counts_blocks_and_is_a_bound_under_conditions() -> None:
    def size(stages: Mapping[str, Any], **more: Any) -> Size:
        return size_of(parse({"architecture": {"cnn": {"stages": stages} | more}}).architecture)

    block = {"width": {"choice": [4, 8, 16]}, "dropout": {"float": [0.0, 0.5]}}
    assert size({"repeat": [1, 3], "of": block}) == Size(different=3 + 9 + 27, continuous=3)
    assert size({"repeat": [1, 3], "of": block, "tie": True}) == Size(different=3 * 3, continuous=1)
    assert size({"repeat": 2, "of": block}) == Size(different=9, continuous=2)
    growing = block | {"width": {"choice": [4, 8, 16], "grow": "nondecreasing"}}
    assert size({"repeat": 2, "of": growing}) == Size(different=9, continuous=2, at_most=True)
    stages, heads = {"repeat": [1, 3], "of": {"width": 4}}, {"choice": [2, 4]}
    assert size(stages, heads=heads) == Size(different=6, continuous=0)
    assert size(stages, heads=heads | {"when": "stages.count > 2"}) == Size(different=6, continuous=0, at_most=True)
    assert size(stages, heads=heads, forbid=["heads > 2"]) == Size(different=6, continuous=0, at_most=True)


def test_a_default_that_rises_is_told_with_its_range() -> None:
    width = {"choice": [4, 16, 8], "default": 4, "passes": 9}
    tree = {"architecture": {"cnn": {"width": width, "depth": {"int": [1, 2], "default": 2, "passes": 5}, "stages": 1}}}
    said = [line for line in lines(linted(tree, draws=4)) if "rise" in line or "by default" in line]
    assert said == ["  architecture.cnn.width: 4 by default, up to 16 while a training has 9 passes"]


def test_blocks_have_questions_of_their_own() -> None:
    tree = {"repeat": [1, 3], "of": {"width": {"choice": [4, 8]}}}
    found = {q.name: q.reached_by for q in questions(parse({"architecture": {"cnn": {"stages": tree}}}))}
    kind = {"architecture.kind": "cnn"}
    assert found == {
        "architecture.kind": {},
        "architecture.cnn.stages.count": kind,
        **{f"architecture.cnn.stages.{i}.width": kind | {"architecture.cnn.stages.count": 3} for i in range(3)},
    }


def test_what_each_forbid_removes_is_counted_apart_from_what_cannot_be_built() -> None:
    tree = {
        "architecture": {
            "cnn": {"width": {"choice": [4, 8, 16, 32]}, "kernel": {"choice": [3, 4]}, "stages": 1},
        },
        "forbid": ["architecture.cnn.width > 8", "architecture.cnn.width < 0"],
    }
    found = linted(tree, draws=400).subjects[0]
    large, never = found.forbidden
    assert large.words == "space.forbid[0]: forbidden: architecture.cnn.width > 8"
    assert large.share == pytest.approx(1 / 2, abs=0.08)
    assert never.share == 0
    assert found.infeasible == pytest.approx(1 / 4, abs=0.08)
    assert [(e.name, e.answer) for e in found.dead_ends] == [
        ("architecture.cnn.width", 16), ("architecture.cnn.width", 32), ("architecture.cnn.kernel", 4),
    ]  # fmt: skip
    assert found.dead_ends[0].why == large.words
    assert found.families[0].largest is not None
    assert found.families[0].largest.architecture["width"] == 8


def test_a_setting_whose_condition_never_holds_is_a_dead_end_and_a_rare_one_is_not() -> None:
    def dead(condition: str) -> list[tuple[str, object]]:
        dropout = {"choice": [0.1, 0.2], "when": condition}
        tree = {"architecture": {"cnn": {"width": {"int": [1, 20]}, "stages": 1, "dropout": dropout}}}
        return [(e.name, e.answer) for e in linted(tree, draws=1).subjects[0].dead_ends]

    assert dead("width > 20") == [("architecture.cnn.dropout", 0.1), ("architecture.cnn.dropout", 0.2)]
    assert dead("width > 17") == []


def test_planted_dead_ends_are_found_and_no_others() -> None:
    found = linted(FAULTY).subjects[0]
    assert [(end.name, end.answer, end.why) for end in found.dead_ends] == [
        ("architecture.kind", "transfomer", "space.architecture: there is no family 'transfomer'"),
        ("architecture.cnn.kernel", 4, "space.architecture.cnn: kernel 4 is not odd"),
    ]


def test_an_option_that_only_some_others_allow_is_no_dead_end() -> None:
    """Width 10 can be built with 2 heads, though not with the default's 4."""
    tree = {"architecture": {"transformer": {"width": {"choice": [8, 10]}, "heads": {"choice": [4, 2]}, "depth": 1}}}
    assert linted(tree, draws=1).subjects[0].dead_ends == ()
    tree["architecture"]["transformer"]["heads"] = 4  # type: ignore[assignment]
    assert [(e.name, e.answer) for e in linted(tree, draws=1).subjects[0].dead_ends] == [
        ("architecture.transformer.width", 10)
    ]


def test_shares_of_infeasible_draws_are_those_of_the_planted_faults() -> None:
    found = linted(FAULTY, draws=600).subjects[0]
    shares = {reason.words: reason.share for reason in found.reasons}
    assert shares == {
        "space.architecture: there is no family 'transfomer'": pytest.approx(1 / 3, abs=0.06),
        "space.architecture.cnn: kernel 4 is not odd": pytest.approx(1 / 9, abs=0.04),
        "space.architecture.transformer: width 10 is not divisible by heads 4": pytest.approx(1 / 12, abs=0.04),
    }
    assert found.infeasible == pytest.approx(sum(shares.values()))


def test_smallest_largest_and_default_are_those_of_all_candidates() -> None:
    found = linted({"architecture": {"cnn": CNN}, "optimizer": {"batch_size": 16}}).subjects[0]
    first, last, norm = 4 * 2 * 9, 8 * 2 * 9 + 8 * 8 * 9, 2
    smallest, largest = first + norm * 4 + 4 * 3 + 3, last + norm * 8 * 2 + 8 * 3 + 3
    family = found.families[0]
    assert family.default is not None
    assert family.smallest is not None
    assert family.largest is not None
    assert (family.smallest.parameters, family.largest.parameters) == (smallest, largest)
    assert family.default == family.smallest
    assert family.default.multiply_adds == 4 * 2 * 9 * 9 * 12 + 4 * 3
    assert [(r.smallest, r.largest) for r in found.ranges] == [(family.smallest, family.largest)] * 3
    assert found.batch == 16
    assert found.infeasible == 0


def test_what_is_too_large_is_said_with_the_limit() -> None:
    family = linted({"architecture": {"cnn": CNN}}, max_parameters=500).subjects[0].families[0]
    assert family.beyond == "779 weights are more than search.max_parameters 500"
    assert family.largest is not None
    assert family.largest.parameters < 500


def test_a_trial_takes_the_seconds_of_its_steps() -> None:
    tree = {"architecture": {"cnn": CNN}, "optimizer": {"batch_size": 10}}
    few = linted(tree, replace(IMAGE, rows=100), draws=1).subjects[0].families[0].seconds
    many = linted(tree, replace(IMAGE, rows=100_000), draws=1).subjects[0].families[0].seconds
    assert few is not None
    assert many is not None
    assert many > 50 * few > 0


def test_warnings_name_what_is_searched_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "rnn", replace(FAMILIES["rnn"], reads=(TextInputs,)))  # type: ignore[arg-type]
    tree = {
        "architecture": {"cnn": CNN, "rnn": {"width": 8}},
        "optimizer": {"lr": {"float": [1e-4, 0.1]}, "weight_decay": {"float": [1e-4, 0.1], "log": True}},
    }
    found = linted(tree, seconds=1e-6)
    assert found.warnings == (
        "optimizer.lr: 0.0001 to 0.1 evenly on the line; log: true would look at every size alike",
    )
    silent, slow = found.subjects[0].warnings
    assert silent == "rnn does not read data of kind image: every trial of it fails"
    assert slow.startswith("cnn: a trial of the default would take ")
    assert [line.reads for line in found.subjects[0].families] == [True, False]
    assert found.subjects[0].dead_ends == ()


def test_a_change_of_rows_that_the_data_do_not_know_is_a_dead_end() -> None:
    tree = {"architecture": {"cnn": CNN}, "optimizer": {"shift": {"choice": [0, 2]}}}
    found = linted(tree, TABLE).subjects[0]
    assert [(e.name, e.answer) for e in found.dead_ends] == [("optimizer.shift", 2)]
    assert linted(tree, IMAGE).subjects[0].dead_ends == ()


def test_the_same_seed_finds_the_same() -> None:
    def without_seconds(found: Linted) -> Any:
        part = plain(found)
        for family in part["subjects"][0]["families"]:
            family.pop("seconds")
        return part

    assert without_seconds(linted(FAULTY)) == without_seconds(linted(FAULTY))


@pytest.mark.parametrize("kind", list(TYPICAL))
def test_steps_are_timed_on_every_kind_of_data(kind: str) -> None:
    space = parse({"architecture": {"cnn": CNN}, "optimizer": {"batch_size": 4}})
    assert seconds_per_step(sample(space, DefaultChooser({})), TYPICAL[kind], CPU) > 0


def test_random_targets_fit_every_task() -> None:
    assert random_rows(replace(TABLE, task="multilabel"), 5).y.shape == (5, 10)
    numbers = replace(TABLE, task="regression", outputs=2, targets=(Target(name="y", mean=0.0, std=1.0),) * 2)
    assert random_rows(numbers, 5).y.shape == (5, 2)
    assert random_rows(TABLE, 5).y.shape == (5,)
    space = parse({"architecture": {"cnn": CNN}, "optimizer": {"batch_size": 4}})
    for subject in (numbers, replace(TABLE, task="multilabel")):
        assert seconds_per_step(sample(space, DefaultChooser({})), subject, CPU) > 0


def test_a_space_is_looked_at_on_the_kind_it_is_named_after_or_on_all_its_families_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    space = parse({"architecture": {"cnn": CNN}})
    assert subjects_for(space, "table") == (TABLE,)
    monkeypatch.setitem(FAMILIES, "cnn", replace(FAMILIES["cnn"], reads=(TableInputs, SeriesInputs)))  # type: ignore[arg-type]
    assert subjects_for(space, "mine") == (TYPICAL["series"], TABLE)
    with pytest.raises(SpaceError, match="no family is known: mlpp"):
        subjects_for(parse({"architecture": {"mlpp": {}}}), "mine")


def test_the_text_says_what_the_record_holds() -> None:
    text = "\n".join(lines(linted(FAULTY)))
    for words in (
        "here: 8 different × 1 continuous setting",
        "architecture.cnn.kernel: 4: space.architecture.cnn: kernel 4 is not odd",
        "on small images, 500 training rows, 4 epochs a trial",
        "random draws cannot be trained",
        "the default cannot be trained: space.architecture: there is no family 'transfomer'",
        "a trial here",
    ):
        assert words in text

"""Reading is strict, and every refusal says where, what and how to fix."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from pipeline.core.contracts import Candidate, CategoricalColumn, NumericColumn, Optimizer, TableInputs
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.strict import plain, read


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: float
    mode: Literal["fast", "slow"] = "fast"


@dataclass(frozen=True, kw_only=True)
class Outer:
    count: int
    inner: Inner
    names: tuple[str, ...] = ()
    limit: float | None = None
    extra: Mapping[str, Inner] | None = None


GOOD: dict[str, Any] = {"count": 2, "inner": {"rate": 1}}


def test_defaults_fill_in_and_integers_serve_as_numbers() -> None:
    assert read(Outer, GOOD, "conf") == Outer(count=2, inner=Inner(rate=1.0))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (GOOD | {"cuont": 3}, "conf: unknown key 'cuont'\n  fix: did you mean 'count'?"),
        (GOOD | {"zzz": 3}, "conf: unknown key 'zzz'\n  fix: known keys: count, inner, names, limit, extra"),
        ({"count": 2}, "conf: key 'inner' is missing\n  fix: add conf.inner"),
        (GOOD | {"count": "2"}, "conf.count: expected an integer, got a string '2'"),
        (GOOD | {"count": True}, "conf.count: expected an integer, got true or false True"),
        (GOOD | {"count": 2.0}, "conf.count: expected an integer, got a number 2.0"),
        (GOOD | {"limit": float("nan")}, "conf.limit: expected a finite number, got a number nan"),
        (GOOD | {"names": "a"}, "conf.names: expected a list, got a string 'a'"),
        (GOOD | {"names": ["a", 1]}, "conf.names[1]: expected a string, got an integer 1"),
        (GOOD | {"inner": 3}, "conf.inner: expected a mapping, got an integer 3"),
        (
            GOOD | {"inner": {"rate": 1, "mode": "fsat"}},
            "conf.inner.mode: 'fsat' is not one of fast, slow\n  fix: did you mean 'fast'?",
        ),
        (
            GOOD | {"inner": {"rate": 1, "mode": 7}},
            "conf.inner.mode: 7 is not one of fast, slow\n  fix: one of: fast, slow",
        ),
        (GOOD | {"extra": {"a": {}}}, "conf.extra.a: key 'rate' is missing\n  fix: add conf.extra.a.rate"),
    ],
)
def test_each_mistake_has_its_whole_message(value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(Outer, value, "conf")
    assert str(caught.value) == message


@dataclass(frozen=True, kw_only=True)
class Either:
    members: Literal["auto"] | tuple[Literal["trees", "ridge"], ...]


def test_a_word_or_a_list_is_told_by_what_was_meant() -> None:
    assert read(Either, {"members": "auto"}, "conf").members == "auto"
    assert read(Either, {"members": ["ridge"]}, "conf").members == ("ridge",)
    for value, message in (
        (["ridges"], "conf.members[0]: 'ridges' is not one of trees, ridge\n  fix: did you mean 'ridge'?"),
        ("all", "conf.members: expected 'auto' or a list, got a string 'all'"),
    ):
        with pytest.raises(ConfigError) as caught:
            read(Either, {"members": value}, "conf")
        assert str(caught.value) == message


def test_a_constructor_s_refusal_carries_the_path_and_the_given_error_type() -> None:
    with pytest.raises(ArtifactError) as caught:
        read(Optimizer, {"lr": -1.0}, "candidate.optimizer", ArtifactError)
    assert str(caught.value) == (
        "candidate.optimizer: lr, muon_lr and batch_size must be positive, label_smoothing in [0, 1)"
    )


def test_records_with_tagged_unions_come_back_equal() -> None:
    inputs = TableInputs(
        columns=(
            NumericColumn(name="age", edges=(0.0, 1.0), median=0.5, missing=True),
            CategoricalColumn(name="job", categories=("a", "b"), mode=1),
        )
    )
    assert read(TableInputs, plain(inputs), "inputs") == inputs
    assert inputs.places == 3
    candidate = Candidate(architecture={"kind": "cnn", "width": 8}, optimizer=Optimizer(lr=0.01))
    assert read(Candidate, plain(candidate), "candidate") == candidate

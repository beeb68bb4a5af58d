"""Quality at equal seconds: figures with closed forms, the page, and runs from search to test score."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quality
import quality_figures as figures
from own_data import Steps
from quality_figures import Outcome
from quality_page import DEFAULT_ONLY, render
from quality_page import outcome as read_outcome
from scratch import scratch_project

TASKS = {"digits": {"path": None, "settings": "data=digits space=tiny"}, "gone": {"path": "no", "settings": "data=x"}}


def outcome(task: str, seed: int, method: str, test: float | None, **more: Any) -> Outcome:
    return Outcome(task=task, seed=seed, method=method, test=test, **more)


def trial(state: str, score: float | None, ended: float, origin: str = "sampler") -> dict[str, Any]:
    return {"state": state, "score": score, "ended": ended, "origin": origin}


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.9, 0.7, 0.8], [1, 3, 2]),
        ([0.5, 0.5], [1.5, 1.5]),
        ([0.5, 0.9, 0.5, 0.5], [3, 1, 3, 3]),
        ([None, -0.2, None], [2.5, 1, 2.5]),
        ([0.1], [1]),
    ],
)
def test_ranks(scores: list[float | None], expected: list[float]) -> None:
    assert figures.ranks(scores) == expected
    assert sum(expected) == len(scores) * (len(scores) + 1) / 2


def test_incumbents_are_complete_trials_better_than_all_before() -> None:
    trials = [trial("complete", 0.5, 2, "default"), trial("pruned", 0.1, 3), trial("complete", 0.4, 11),
              trial("failed", None, 4), trial("complete", 0.45, 7), trial("complete", 0.6, 9)]  # fmt: skip
    assert figures.incumbents(trials) == [(2, 0.5), (7, 0.45), (11, 0.4)]  # as they ended, not as they began
    assert figures.default_score(trials) == 0.5
    assert figures.default_score([trial("pruned", 0.3, 1, "default"), *trials]) is None
    assert figures.default_score([]) is None
    assert figures.incumbents([]) == []


@pytest.mark.parametrize(
    ("curve", "area"),
    [
        ([], 1.0),
        ([(0.0, 1.0)], 0.0),
        ([(4.0, 1.0)], 0.4),
        ([(0.0, 3.0)], 1.0),
        ([(0.0, 2.0)], 0.5),
        ([(1.0, 3.0), (2.0, 2.0), (6.0, 1.5), (9.0, 1.0)], (1 + 1 + 4 * 0.5 + 3 * 0.25) / 10),
        ([(2.0, 7.0), (5.0, 1.0)], 0.5),  # worse than the default counts as the default
        ([(2.0, 0.0)], 0.2),  # better than the best is no less than none
        ([(12.0, 1.0)], 1.0),  # too late
        ([(5.0, 2.0), (20.0, 1.0)], 0.75),
    ],
)
def test_area_under_regret(curve: list[tuple[float, float]], area: float) -> None:
    assert figures.regret_area(curve, 3.0, 1.0, 10.0) == pytest.approx(area)


def test_a_default_that_is_the_best_has_no_regret() -> None:
    with pytest.raises(ValueError, match="the default is the best"):
        figures.regret_area([(1.0, 1.0)], 1.0, 1.0, 10.0)
    same = [outcome("a", 0, "x", 0.5, default=1.0, curve=((2.0, 1.0),))]
    assert figures.references(same) == {}
    assert figures.mean_regrets(same, ["x"], 10.0)["x"].value is None


def test_regret_is_between_the_mean_default_and_the_best_of_all_methods() -> None:
    runs = [outcome("a", 0, "x", 0.5, default=3.0, curve=((5.0, 2.0),)),
            outcome("a", 1, "x", 0.5, default=5.0, curve=()),
            outcome("a", 0, "y", 0.5, curve=((0.0, 2.0), (5.0, 0.0)))]  # fmt: skip
    assert figures.references(runs) == {"a": (4.0, 0.0)}
    found = figures.mean_regrets(runs, ["x", "y"], 10.0)
    assert found["x"].value == pytest.approx((0.75 + 1) / 2)
    assert found["y"].value == pytest.approx(0.25)
    assert (found["y"].low, found["y"].tasks, found["y"].runs) == (None, 1, 1)


def test_mean_ranks_weigh_tasks_alike_and_need_all_methods() -> None:
    runs = [outcome("a", s, "x", 0.9) for s in range(3)] + [outcome("a", s, "y", 0.8) for s in range(3)]
    runs += [outcome("b", 0, "x", None), outcome("b", 0, "y", -1.0), outcome("b", 1, "x", 1.0)]
    found = figures.mean_ranks(runs, ["x", "y"])
    assert (found["x"].value, found["y"].value) == (1.5, 1.5)
    assert (found["x"].tasks, found["x"].runs) == (2, 4)
    assert (found["x"].low, found["x"].high) == (1, 2)
    assert figures.mean_ranks(runs, ["x", "z"])["x"].value is None


def test_share_that_ends_worse_than_the_default() -> None:
    runs = [outcome("a", 0, "x", 0.6, default=0.5, chosen=0.4), outcome("a", 1, "x", 0.7, default=0.5, chosen=0.6),
            outcome("a", 2, "x", 0.7, default=None, chosen=0.6), outcome("b", 0, "x", None),
            outcome("b", 1, "x", 0.5, default=0.5, chosen=0.5),
            outcome("a", 0, "d", 0.6), outcome("a", 1, "d", 0.8), outcome("b", 0, "d", 0.1)]  # fmt: skip
    valid = figures.worse_on_validation(runs[:5], ["x"])["x"]
    assert (valid.value, valid.runs) == (0.5, 4)
    test = figures.worse_on_test(runs, ["x", "d"], "d")
    assert (test["x"].value, test["x"].runs) == (pytest.approx((0.5 + 1) / 2), 3)
    assert test["d"].value is None
    chosen = [*runs[:3], *runs[5:], outcome("b", 2, "x", 0.0, default=0.5, chosen=0.5), outcome("b", 2, "d", 0.1),
              outcome("b", 3, "x", 0.0, default=0.5, chosen=0.4), outcome("b", 3, "d", 0.1)]  # fmt: skip
    assert figures.worse_on_test(chosen, ["x"], "d")["x"].value == pytest.approx((0.5 + 1) / 2)
    assert figures.worse_on_test(chosen, ["x"], "d", by_choice=True)["x"].value == pytest.approx((0.5 + 0.5) / 2)


def test_the_bootstrap_has_the_variance_of_two_stages() -> None:
    values = [[0.0, 1.0, 2.0], [4.0, 5.0, 9.0], [1.0, 1.0, 1.0], [7.0, 3.0, 2.0]]
    drawn = figures.bootstrap(values, np.random.default_rng(1), 20_000)
    # Var = (variance between task means + mean variance within / runs) / tasks, all of the empirical distribution.
    expected = (np.var(np.mean(values, axis=1)) + np.var(values, axis=1).mean() / 3) / 4
    assert drawn.mean() == pytest.approx(np.mean(values), abs=0.03)
    assert drawn.var() == pytest.approx(expected, rel=0.04)


def test_intervals() -> None:
    assert figures.mean_of({}) == figures.Mean(value=None)
    assert figures.mean_of({"a": []}) == figures.Mean(value=None)
    same = figures.mean_of({"a": [2.0, 2.0], "b": [2.0]})
    assert (same.value, same.low, same.high, same.tasks, same.runs) == (2.0, 2.0, 2.0, 2, 3)
    coins = figures.mean_of({str(i): [float(i % 2)] for i in range(40)})
    assert coins.value == 0.5
    assert (coins.low, coins.high) == (pytest.approx(0.35, abs=0.026), pytest.approx(0.65, abs=0.026))  # binomial


def record(task: str, method: str, seed: int, budget: int = 60, **more: Any) -> Mapping[str, Any]:
    machine = {"date": "2026-01-01T00:00:00+00:00", "python": "3", "torch": "2", "optuna": "5",
               "pytorch-lightning": "2", "cpu": "a processor", "cores": 2, "seed": 7, "load_before": 0.5}  # fmt: skip
    done = {"status": "done", "headline": "accuracy", "weights": "trained again", "default": 0.5, "chosen": 0.4,
            "curve": [[10.0, 0.5], [30.0, 0.4]], "seconds": 50.0,
            "trials": {"complete": 3, "pruned": 1, "failed": 0}}  # fmt: skip
    settings = {"task": task, "method": method, "seed": seed, "budget": budget}
    return {"settings": settings, "circumstances": machine,
            "commit": {"hash": "c" * 40, "dirty": False, "changes": None}} | done | more  # fmt: skip


def test_the_page_shows_the_figures() -> None:
    failure = {"status": "failed", "failure": {"step": "search", "code": 2, "tail": ["error: <b>|"]}, "curve": [],
               "default": None, "chosen": None}  # fmt: skip
    found = [record("a", "standard", 0, test=0.9), record("a", "standard", 1, test=0.7),
             record("a", DEFAULT_ONLY, 0, test=0.8, curve=[[10.0, 0.5]]),
             record("a", DEFAULT_ONLY, 1, test=0.8, curve=[[10.0, 0.5]]),
             record("b", "standard", 0, **failure), record("b", DEFAULT_ONLY, 0, test=0.5),
             record("a", "standard", 0, 300, test=0.95), record("gone", "standard", 0, status="not there")]  # fmt: skip
    page = render({str(i): r for i, r in enumerate(found)})
    methods = [line for line in page.splitlines() if line.startswith(("| standard |", f"| {DEFAULT_ONLY} |"))]
    # standard: ranks 1, 2 and a failure 2; regret (10 + 20) / 60, once more, and a failure 1.
    assert methods[1].startswith("| standard | 1.75 [")
    regret = figures.mean_regrets([read_outcome(r) for r in found[:6]], ["standard"], 60)["standard"]
    assert regret.value == pytest.approx((0.5 + 1) / 2)
    assert f"| {regret.value:.2f} [" in methods[1]
    assert methods[1].endswith("| 3 | 1 | 50 | 4 |")
    assert methods[0].startswith(f"| {DEFAULT_ONLY} | 1.25 [")
    assert "| a | accuracy | 0.8000 ± 0.0000 (2) | 0.8000 ± 0.1414 (2) | trained again |" in page
    assert "| b | accuracy | 0.5000 (1) | – | trained again |" in page
    assert "## 300 seconds" in page
    assert "Not there: gone." in page
    assert "* 4: search: error: &lt;b>\\|" in page
    assert "commit cccccccccc" in page


def test_mistakes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for argument, message in (
        ("only=digit", "only: no task digit\n  fix: known: digits, gone"),
        ("methods=standart", "methods: conf/search has no standart\n  fix: known: "),
        ("budgets=1.5", "budgets: '1.5' are not whole seconds\n  fix: budgets=60,300"),
        ("seeds=0", "seeds and side_by_side must be at least 1\n  fix: seeds=3 side_by_side=1"),
    ):
        with pytest.raises(SystemExit) as ended:
            quality.main([str(tmp_path), argument], TASKS)
        assert ended.value.code == 2
        assert capsys.readouterr().err.startswith(f"error: {message}")


def test_methods_of_a_seed_follow_each_other() -> None:
    asked = quality.DEFAULTS | {"only": "digits", "methods": "standard,tiny", "seeds": 2, "budgets": "5,10"}
    assert quality.asked_runs(asked, TASKS)[:5] == [
        ("digits", "standard", 0, 5), ("digits", "tiny", 0, 5), ("digits", "standard", 1, 5), ("digits", "tiny", 1, 5),
        ("digits", "standard", 0, 10),
    ]  # fmt: skip


def test_tasks_name_what_is_there(root: Path) -> None:
    known = {file.stem for file in (root / "conf" / "data").glob("*.yaml")}
    named = {spec["settings"].split()[0].removeprefix("data=") for spec in quality.TASKS.values()}
    assert named <= known
    assert len(quality.TASKS) >= 8


@pytest.mark.slow
def test_runs_are_scored_kept_and_known_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "quality.json"
    arguments = [str(tmp_path), "methods=standard", "seeds=2", "budgets=12", "side_by_side=2", f"out={out}"]
    assert quality.main(arguments, TASKS) == 0
    records = json.loads(out.read_text())
    for seed in (0, 1):
        found = records[f"digits / standard / seed {seed} / 12 s"]
        assert found["status"] == "done"
        assert found["weights"] in (
            "of the trial, as the search handed them on",
            "trained again with the budget of a trial",
        )
        assert found["metrics"]["accuracy"] == found["test"] > 0.2
        assert found["chosen"] >= found["curve"][-1][1] == min(score for _, score in found["curve"])
        assert found["curve"][-1][0] <= found["search"]["seconds"]
        assert str(tmp_path) not in json.dumps(found)
    assert records["gone / standard / seed 0 / 12 s"]["status"] == "not there"
    assert "| digits | accuracy |" in out.with_suffix(".md").read_text()
    capsys.readouterr()
    assert quality.main([*arguments, "only=digits"], TASKS) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"digits / standard / seed {s} / 12 s: there already" for s in (0, 1)
    ]


def point(name: str, value: float, networks: int) -> dict[str, Any]:
    return {"name": name, "networks": networks, "metrics": {"accuracy": {"value": value}}}


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ([], (None, 1, None)),
        ([point("mixed ensemble", 0.8, 1), point("averaged seeds", 0.9, 3)], (None, 1, 0.8)),
        ([point("ensemble", 0.7, 2), point("mixed ensemble", 0.8, 2)], (0.7, 2, 0.8)),
    ],
)
def test_ensembles_are_known_by_their_names(
    tmp_path: Path, beside: list[dict[str, Any]], expected: tuple[float | None, int, float | None]
) -> None:
    members = tmp_path / "artifacts" / "search" / "members"
    members.mkdir(parents=True)
    (members / "trial-4.safetensors").touch()
    number = {"value": 0.6, "ci_low": 0.5, "ci_high": 0.7}
    scores = {
        "headline": "accuracy",
        "metrics": {"accuracy": number},
        "front": [point("single network", 0.6, 1), *beside],
    }

    class Told(Steps):
        def run(self, step: str, command: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
            return {}, []

        def read(self, name: str) -> Any:
            return scores

    found = quality.score_on_test(Told(tmp_path, tmp_path), ["seed=0"], 4)
    assert (found["test"], found["ensemble"], found["networks"], found["mixed"]) == (0.6, *expected)


@pytest.mark.slow
def test_weights_that_are_handed_on_are_scored_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ["data=digits", "space=tiny", "search=tiny", "search.n_trials=1", "seed=3"]
    with scratch_project() as top:
        steps = Steps(top, tmp_path)
        shutil.copy(Path(quality.__file__).with_name("quality_steps.py"), top)
        steps.run("prepare", ["pipeline.prepare", *told])
        steps.run("search", ["pipeline.search", *told])
        number = steps.read("artifacts/search/search.json")["best"]
        handed = quality.score_on_test(steps, told, number)
        shutil.rmtree(top / "artifacts" / "train")
        monkeypatch.setattr(quality, "handed_weights", lambda *_: None)
        again = quality.score_on_test(steps, told, number)
        assert again["weights"] == "trained again with the budget of a trial"
        assert steps.read("artifacts/train/card.json")["epochs"][-1]["epoch"] == 2
    assert handed["weights"] == "of the trial, as the search handed them on"
    assert handed["metrics"] == again["metrics"]

"""The border: composition, the stage's slice, and mistakes in two lines."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError
from pipeline.core.settings import STAGE_KEYS, SearchSlice
from pipeline.stage import compose, slice_for


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("serch.n_trials=5", "conf: unknown key 'serch'\n  fix: did you mean 'search'?"),
        ("search.n_trails=5", "conf.search: unknown key 'n_trails'\n  fix: did you mean 'n_trials'?"),
        ("data=digit", "command line: data has no option 'digit'\n  fix: did you mean 'digits'?"),
        (
            "search=none",
            "command line: search has no option 'none'\n"
            "  fix: one of: default_only, grid, one_epoch_topk, random, standard, tiny, tpe_hyperband",
        ),
        ("n_trials", "command line: 'n_trials' is not key=value\n  fix: for example search.n_trials=5"),
    ],
)
def test_a_wrong_override_is_explained(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose([override])
    assert str(caught.value) == message


def test_a_stage_sees_only_its_declared_keys() -> None:
    config = compose([])
    seen = slice_for("search", SearchSlice, config)
    assert set(SearchSlice.__dataclass_fields__) == set(STAGE_KEYS["search"])
    assert seen.search.n_trials == config["search"]["n_trials"]


def test_a_wrong_type_in_conf_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError) as caught:
        slice_for("search", SearchSlice, compose(["search.n_trials=many"]))
    assert str(caught.value) == "conf.search.n_trials: expected an integer, got a string 'many'"


def test_a_data_set_brings_the_space_of_its_modality() -> None:
    image, table = compose([])["space"], compose(["data=adult"])["space"]
    assert image != table
    assert compose(["data=adult", "space=tiny"])["space"] == compose(["space=tiny"])["space"]


def test_the_command_line_exits_with_2_and_two_lines() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.search", "search.n_trails=5"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "error: conf.search: unknown key 'n_trails'\n  fix: did you mean 'n_trials'?\n"
    assert done.stdout == ""


@pytest.mark.parametrize("stage", ["configure", *STAGE_KEYS])
def test_help_and_cfg_answer_without_heavy_imports(stage: str) -> None:
    code = (
        "import sys, runpy; sys.argv[1:] = ['{flag}']\n"
        "try: runpy.run_module('pipeline." + stage + "', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {{'torch', 'pandas', 'sklearn', 'scipy', 'optuna', 'captum'}} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run(
        [sys.executable, "-c", code.format(flag="--help")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "search" in done.stdout
    assert "standard" in done.stdout


def test_help_shows_the_stage_its_groups_and_its_commented_keys() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("The best candidate on the full budget")
    for line in (
        "  search=default_only|grid|one_epoch_topk|random|standard|tiny|tpe_hyperband",
        "seed: 7",
        "train:",
        "trainer: # conf/trainer/auto.yaml",
    ):
        assert line in done.stdout.splitlines()
    assert "n_trials" not in done.stdout


def test_outside_a_project_help_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train", "--help"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={"PYTHONPATH": str(Path.cwd())},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: conf/config.yaml: not found\n  fix: run from the project's top folder\n"


def test_cfg_job_prints_the_composition() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.train", "seed=11", "--cfg", "job"], capture_output=True, text=True, check=True
    )
    assert "seed: 11" in done.stdout
    assert Path("params.yaml").exists()


def test_a_stage_holds_the_threads_of_libraries_it_loads_later() -> None:
    code = (
        "import json, sys\n"
        "from pipeline.stage import launch\n"
        "def act(config):\n"
        "    import numpy as np, threadpoolctl\n"
        "    np.ones((2, 2)) @ np.ones((2, 2))\n"
        "    sys.stdout.write(json.dumps([p['num_threads'] for p in threadpoolctl.threadpool_info()\n"
        "                                 if p['internal_api'] in ('openblas', 'mkl')]))\n"
        "launch('fairness', [], act)\n"
    )
    free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=free)
    assert set(json.loads(done.stdout)) <= {1}
    wanted = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                            env=free | {"OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"})  # fmt: skip
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    assert set(json.loads(wanted.stdout)) <= {min(2, cores)}

"""dvc.yaml says of each stage exactly what the code does."""

import ast
from pathlib import Path

import pytest
import yaml

from pipeline.core.settings import STAGE_KEYS

PIPELINE = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
STAGES = list(STAGE_KEYS)


def imported(module: Path) -> set[str]:
    """Return all `pipeline.*` names a file imports, at any depth of its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.startswith("pipeline.")}


def file_of(name: str) -> Path | None:
    path = Path(*name.split("."))
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.exists()), None)


def closure(start: Path) -> set[Path]:
    seen: set[Path] = set()
    todo = [start]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += [f for name in imported(file) if (f := file_of(name))]
    return seen


@pytest.mark.parametrize("stage", ["configure", *STAGES])
def test_deps_cover_everything_a_stage_imports(stage: str) -> None:
    deps = [Path(d) for d in PIPELINE[stage]["deps"]]
    needed = closure(Path(f"pipeline/{stage}.py"))
    assert len(needed) > 3
    missing = [f for f in needed if not any(f == d or d in f.parents for d in deps)]
    assert missing == []


@pytest.mark.parametrize("stage", ["configure", *STAGES])
def test_deps_name_no_package_a_stage_does_not_import(stage: str) -> None:
    needed = closure(Path(f"pipeline/{stage}.py"))
    packages = [Path(d) for d in PIPELINE[stage]["deps"] if d.startswith("pipeline/")]
    assert [p for p in packages if not any(f == p or p in f.parents for f in needed)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_keys_the_code_grants(stage: str) -> None:
    assert tuple(PIPELINE[stage]["params"]) == STAGE_KEYS[stage]


def test_stages_stand_in_the_file_s_order_and_match_the_code() -> None:
    assert list(PIPELINE) == ["configure", *STAGES]
    assert all(Path(f"pipeline/{stage}.py").exists() for stage in PIPELINE)


def test_only_evaluate_and_interpret_open_the_test_split() -> None:
    readers = [s for s, stage in PIPELINE.items() if any("prepare/test" in d for d in stage["deps"])]
    assert readers == ["evaluate", "interpret"]
    whole = [s for s, stage in PIPELINE.items() if {"artifacts", "artifacts/prepare"} & set(stage["deps"])]
    assert whole == []


def test_real_stages_depend_on_the_pinned_versions() -> None:
    assert all("requirements.lock" in PIPELINE[stage]["deps"] for stage in STAGES)

"""Where DVC ran, its lock is part of what verify checks; and what why prints, run, computes the number again."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Shell
from tests.test_pipeline import edit, small

pytestmark = pytest.mark.slow

VERIFY = "python -m pipeline.verify"


def metrics(project: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project / "artifacts/evaluate/scores.json").read_text())["metrics"]
    return found


def test_a_run_of_dvc(project: Path, shell: Shell) -> None:
    small(project)
    shell(project, "dvc repro -q")
    assert shell(project, VERIFY).stdout.endswith("all of it is equal\n")

    told = shell(project, "python -m pipeline.why evaluate.accuracy").stdout
    command = re.search(r"^  command +(.+)$", told, re.M)
    before = metrics(project)
    assert command
    assert f"{before['accuracy']['value']!r}" in told
    (project / "artifacts/evaluate/scores.json").unlink()
    shell(project, command[1])
    assert metrics(project) == before

    again = shell(project, VERIFY, check=False)  # latency was measured anew
    assert again.returncode == 1
    assert "  evaluate: artifacts/evaluate: reported " in again.stdout
    assert "  dvc.lock: evaluate: artifacts/evaluate: reported " in again.stdout
    shell(project, "dvc checkout -q --force")
    assert shell(project, VERIFY).stdout.endswith("all of it is equal\n")

    edit(project / "dvc.lock", "level: 0.95", "level: 0.9")
    wrong = shell(project, VERIFY, check=False)
    assert wrong.returncode == 1
    assert "  dvc.lock: evaluate: params.yaml: evaluate.level: reported 0.9, recomputed 0.95\n" in wrong.stdout

    shell(project, "dvc repro -q && python -m pipeline.fairness fairness.delta=0.2 && python -m pipeline.report")
    assert "fairness.delta=0.2" in shell(project, "python -m pipeline.why fairness.tests").stdout
    assert shell(project, VERIFY).stdout.endswith("all of it is equal\n")

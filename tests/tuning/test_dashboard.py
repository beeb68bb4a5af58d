"""optuna-dashboard shows a study while it runs and when it has ended: names, bounds, notes, weights for download."""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna_dashboard._note import get_note_from_system_attrs
from optuna_dashboard.artifact._backend import list_trial_artifacts

from pipeline.core.bounds import Constraints
from pipeline.core.store import dashboard_command
from pipeline.space import parse
from pipeline.training.fit import Fit
from pipeline.tuning import Search, open_keeper, show_weights
from pipeline.tuning.jobs import Job
from tests.browser import CHROMIUM, dumped
from tests.tuning.test_search import TINY, problem, study

BOUNDS = Constraints(parameters=100_000.0, calibration_error=0.9)


@contextmanager
def dashboard(folder: Path) -> Iterator[str]:
    """Run the command that a search prints, on a free port; give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command, *rest = dashboard_command(f"sqlite:///{folder / 'study.db'}").split()
    rest = [str(folder / "shown") if part == "state/shown" else part for part in rest]
    server = [str(Path(sys.executable).parent / command), *rest, "--host", "127.0.0.1", "--port", str(port), "-q"]
    with (folder / "dashboard.log").open("w") as log, subprocess.Popen(server, stdout=log, stderr=log) as running:
        try:
            address = f"http://127.0.0.1:{port}"
            while running.poll() is None:
                try:
                    urllib.request.urlopen(f"{address}/api/studies")
                    break
                except (urllib.error.URLError, ConnectionError):
                    time.sleep(0.1)
            assert running.poll() is None, (folder / "dashboard.log").read_text()
            yield address
        finally:
            running.terminate()


def asked(address: str) -> Any:
    with urllib.request.urlopen(address) as answer:
        return json.load(answer)


@pytest.mark.slow
def test_a_running_and_a_finished_study_are_shown(tmp_path: Path) -> None:
    kept, seen = open_keeper(tmp_path, "test", 3), []
    opened = study(tmp_path)
    search = Search(problem(n_trials=9, repeats=1, constraints=BOUNDS), parse(TINY), opened, tmp_path / "files")
    with dashboard(tmp_path) as address:

        def on_fit(job: Job, fit: Fit) -> None:
            kept.keep_fit(job, fit)
            seen.append(asked(f"{address}/api/studies/{opened._study_id}?after=0"))

        search.run(on_fit)
        show_weights(opened, kept, tmp_path / "shown")
    while_running = seen[0]
    with dashboard(tmp_path) as address:  # the first one remembers trials for some seconds
        assert [trial["state"] for trial in while_running["trials"]].count("Running") >= 1
        assert while_running["objective_names"] == ["log loss on validation"]
        [listed] = asked(f"{address}/api/studies")["study_summaries"]
        assert listed["study_name"] == "test"
        found = asked(f"{address}/api/studies/{listed['study_id']}?after=0")
        record = search.export("db")
        assert len(found["trials"]) == len(record.trials)
        assert "Running" not in {trial["state"] for trial in found["trials"]}
        bounded = [len(trial["constraints"]) for trial in found["trials"]]
        assert bounded == [len(trial.amounts) for trial in record.trials]
        assert set(bounded) == {1, 2}  # of trials that were stopped the calibration error is not known
        assert all(amount <= 0 for trial in found["trials"] for amount in trial["constraints"])
        for trial in found["trials"]:
            kind = record.trials[trial["number"]].candidate.architecture["kind"]
            assert trial["note"]["body"].startswith(f"**{kind}** (origin: ")
            assert trial["params"]
        offered = {trial["number"]: trial["artifacts"] for trial in found["trials"] if trial["artifacts"]}
        assert sorted(offered) == sorted({place for place, _ in kept.kept()})
        for number, artifacts in offered.items():
            trial = next(t for t in found["trials"] if t["number"] == number)
            for artifact in artifacts:
                place = f"{address}/artifacts/{listed['study_id']}/{trial['trial_id']}/{artifact['artifact_id']}"
                with urllib.request.urlopen(place) as answer:
                    assert answer.read() == (kept.folder / artifact["filename"]).read_bytes()
        if CHROMIUM is not None:
            page = f"{address}/dashboard/studies/{listed['study_id']}/trials?numbers=0"
            text = re.sub(r"<[^>]+>", " ", dumped(page, tmp_path / "browser"))
            assert "origin: default" in text
            assert "architecture:" in text
            overview = dumped(f"{address}/dashboard/studies/{listed['study_id']}", tmp_path / "browser")
            assert "log loss on validation" in overview


def test_weights_that_are_no_longer_kept_are_no_longer_offered(tmp_path: Path) -> None:
    kept, opened = open_keeper(tmp_path, "test", 2), study(tmp_path)
    search = Search(problem(n_trials=4), parse(TINY), opened, tmp_path / "files")
    search.run(kept.keep_fit)
    folder = tmp_path / "shown"

    def offered() -> dict[int, list[str]]:
        shown = optuna.load_study(study_name="test", storage=f"sqlite:///{tmp_path / 'study.db'}")
        attributes = shown._storage.get_study_system_attrs(shown._study_id)
        listed = {t.number: list_trial_artifacts(attributes, t.system_attrs, t) for t in shown.trials}
        return {number: [a["filename"] for a in found] for number, found in listed.items() if found}

    show_weights(opened, kept, folder)
    before = offered()
    assert sum(map(len, before.values())) == len(kept.kept()) == len(list(folder.iterdir()))
    assert all(link.read_bytes() for link in folder.iterdir())
    show_weights(opened, kept, folder)
    assert offered() == before
    (place, repeat), *_ = kept.kept()
    kept.path((place, repeat)).unlink()
    show_weights(opened, kept, folder)
    assert offered() == {number: files for number, files in before.items() if number != place}
    assert len(list(folder.iterdir())) == len(kept.kept())
    attributes = opened._storage.get_study_system_attrs(opened._study_id)
    assert get_note_from_system_attrs(attributes, opened.trials[0]._trial_id)["body"].startswith("**")

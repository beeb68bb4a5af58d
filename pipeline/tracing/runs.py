"""A finished run beside this one: in a folder, or of a revision or an experiment, whose outputs DVC has kept."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.contracts import DatasetCard, Provenance
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.core.store import EVALUATE, FIT, REPORTS, read_json, read_record, sha256_folder
from pipeline.core.strict import nearest
from pipeline.evaluation import Said, load_predictions
from pipeline.tracing.why import provenance_in

_CARD, _REPORT = FIT / "dataset.json", REPORTS / "report.json"
NEEDED = (_CARD, EVALUATE, _REPORT)
"""What of a run is looked at."""


@dataclass(frozen=True)
class Run:
    """What a run has predicted and reported."""

    name: str
    """What it was asked for by."""
    card: DatasetCard
    said: Said
    report: dict[str, Any]
    behind: dict[str, Provenance]


def run_in(folder: Path, name: str) -> Run:
    """Return the run whose artifacts and report lie in a folder."""
    gone = [path.as_posix() for path in NEEDED if not (folder / path).exists()]
    if gone:
        here = folder == Path()
        fix = "run `dvc repro`" if here else f"copy {', '.join(path.as_posix() for path in NEEDED)} of that run there"
        where = "here" if here else str(folder)
        raise ArtifactError(f"{where}: no finished run, {', '.join(gone)} not found", fix=fix)
    report = read_json(folder / _REPORT)
    behind = provenance_in(report)
    told = behind["evaluate"].digests.get(EVALUATE.as_posix())
    if told != sha256_folder(folder / EVALUATE):
        raise ArtifactError(
            f"{folder / _REPORT}: it is not about the predictions that lie in {folder / EVALUATE}",
            fix="run `python -m pipeline.report` there",
        )
    card = read_record(DatasetCard, folder / _CARD)
    return Run(name, card, load_predictions(folder / EVALUATE, card), report, behind)


@contextmanager
def folder_of(wanted: str) -> Iterator[Path]:
    """Give the folder of a run: the one that is named, or what DVC has kept of a revision or an experiment."""
    if Path(wanted).is_dir():
        yield Path(wanted)
        return
    revision = revision_of(wanted)
    with tempfile.TemporaryDirectory(prefix="archline-") as name:
        for path in NEEDED:
            _fetch(revision, path, Path(name) / path, wanted)
        yield Path(name)


def revision_of(wanted: str) -> str:
    """Return the commit that a revision or the name of an experiment stands for."""
    known = _experiments()
    for name in (wanted, known.get(wanted, "")):
        found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}") if name else ""
        if found:
            return found
    near = nearest(wanted, list(known))
    fix = f"did you mean '{near}'?" if near else "`git log --oneline` and `dvc exp show` list them"
    raise ConfigError(f"compare={wanted}: no folder, no revision and no experiment has this name", fix=fix)


def _experiments() -> dict[str, str]:
    """Return the commit of each experiment by its name; DVC keeps them as refs/exps/<start of …>/<…>/<name>."""
    lines = _git("for-each-ref", "refs/exps", "--format=%(objectname) %(refname)").splitlines()
    pairs = (line.split(" ", 1) for line in lines)
    return {ref.split("/", 4)[4]: commit for commit, ref in pairs if ref.count("/") >= 4}


def _git(*arguments: str) -> str:
    """Return what git prints, nothing where it fails."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _fetch(revision: str, path: Path, to: Path, wanted: str) -> None:
    """Put what DVC has of a path at a revision somewhere: from its cache, or from a remote if there is one."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        DVCFileSystem(rev=revision).get(path.as_posix(), to.as_posix(), recursive=True)
    except (DvcException, OSError):
        raise ArtifactError(
            f"compare={wanted}: {path} of that revision is not in DVC's cache",
            fix="`dvc fetch` where a remote has it, or run `dvc repro` there and name the folder",
        ) from None

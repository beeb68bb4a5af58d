"""Reading and writing artifacts: whole or not at all.

A stage writes into `Folder.fresh(...)`; the folder takes its final name in one rename when the stage succeeds.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.errors import ArtifactError
from pipeline.core.strict import plain, read

T = TypeVar("T")

ARTIFACTS = Path("artifacts")
FIT = ARTIFACTS / "prepare" / "fit"
TEST = ARTIFACTS / "prepare" / "test"
SEARCH = ARTIFACTS / "search"
TRAIN = ARTIFACTS / "train"
EVALUATE = ARTIFACTS / "evaluate"
INTERPRET = ARTIFACTS / "interpret"
FAIRNESS = ARTIFACTS / "fairness"
REPORTS = Path("reports")
PROVENANCE = ARTIFACTS / "provenance"
FOLDERS: Mapping[str, tuple[Path, ...]] = {
    "prepare": (FIT, TEST),
    "search": (SEARCH,),
    "train": (TRAIN,),
    "evaluate": (EVALUATE,),
    "interpret": (INTERPRET,),
    "fairness": (FAIRNESS,),
}
"""What each stage before the report writes."""
SHOWN = "shown"
"""Folder under state/ of the files that optuna-dashboard offers."""
PREDICTING = ("core", "datasets", "models", "training")
"""Packages whose code decides what a network answers to raw rows."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write the file under a temporary name, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, record: object) -> None:
    """Write a record as strict JSON (no NaN), keys in field order."""
    text = json.dumps(plain(record), allow_nan=False, ensure_ascii=False, indent=1)
    write_bytes(path, f"{text}\n".encode())


def read_json(path: Path) -> Any:
    """Read JSON; a missing or damaged file is an ArtifactError."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise missing(path) from None
    except ValueError as wrong:
        raise ArtifactError(f"{path}: damaged ({wrong})", fix=_rerun(path)) from None


def read_record(kind: type[T], path: Path) -> T:
    """Read a contract strictly; another schema number or shape is an ArtifactError."""
    return read(kind, read_json(path), str(path), ArtifactError)


def missing(path: Path) -> ArtifactError:
    """Return the error for an artifact that is not there."""
    return ArtifactError(f"{path}: not found", fix=_rerun(path))


def _rerun(path: Path) -> str:
    if path.parts[:1] == ("artifacts",) and len(path.parts) > 2:
        return f"run `dvc repro {path.parts[1]}`"
    return "run `dvc repro`" if path.parts[:1] == ("reports",) else "run the stage that writes it"


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path`; on success it replaces `path`, on failure it vanishes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        if path.exists():
            path.replace(old)
        temporary.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256_file(path: Path) -> str:
    """Return the hex digest of a file's bytes."""
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def sha256_folder(path: Path) -> str:
    """Return one digest over names and bytes of all files below, in name order."""
    whole = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        whole.update(f"{file.relative_to(path).as_posix()}\0{sha256_file(file)}\n".encode())
    return whole.hexdigest()


def folder_bytes(path: Path) -> int:
    """Return the bytes of all files below."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def dashboard_command(storage: str) -> str:
    """Return the command line that shows the studies of a storage."""
    return f"optuna-dashboard {storage} --artifact-dir state/{SHOWN}"


def digest_of(record: object) -> str:
    """Return the hex digest of a record's canonical JSON."""
    text = json.dumps(plain(record), allow_nan=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def code_digest(*packages: str) -> str:
    """Return one digest over the source of these packages and modules: results of other code are other results."""
    top = Path(__file__).parents[1]
    parts = [top / package for package in packages]
    files = [file for part in parts for file in ([part] if part.is_file() else sorted(part.rglob("*.py")))]
    whole = "".join(f"{file.relative_to(top).as_posix()}\0{sha256_file(file)}\n" for file in files)
    return hashlib.sha256(whole.encode()).hexdigest()

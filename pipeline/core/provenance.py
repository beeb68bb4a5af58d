"""What stands behind a stage: written down by its entry when it ran, read by the report, by why and by verify."""

import importlib.metadata
import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.contracts import Provenance
from pipeline.core.store import (
    ARTIFACTS,
    FOLDERS,
    PROVENANCE,
    TEST,
    code_digest,
    read_record,
    sha256_folder,
    write_json,
)

PIPELINE = Path("dvc.yaml")
_LIBRARIES = ("archline", "numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "torch", "pytorch-lightning", "optuna",
              "captum")  # fmt: skip
_PASSWORD = re.compile(r"://([^:/@\s]+):[^@\s]*@")


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """What dvc.yaml says of a stage."""

    code: tuple[str, ...] = (".",)
    """Packages and modules below pipeline/; all of them where there is no dvc.yaml."""
    inputs: tuple[str, ...] = ()
    """Stages whose artifacts it reads."""


def declared(stage: str) -> Declared:
    """Return what dvc.yaml says of a stage: a test holds that to what the code imports."""
    import yaml

    if not PIPELINE.exists():
        return Declared()
    deps = yaml.safe_load(PIPELINE.read_text(encoding="utf-8"))["stages"][stage]["deps"]
    code = tuple(dep.removeprefix("pipeline/") for dep in deps if dep.startswith("pipeline/"))
    read = [Path(dep) for dep in deps if dep.startswith(f"{ARTIFACTS.as_posix()}/")]
    return Declared(code=code, inputs=tuple(s for s, folders in FOLDERS.items() if set(folders) & set(read)))


def provenance_of(stage: str, config: Mapping[str, Any], arguments: Sequence[str]) -> Provenance:
    """Return what stands behind what a stage has just written; `config`: the part of the settings it read."""
    about = declared(stage)
    return Provenance(
        stage=stage,
        command=command_of(stage, arguments),
        digests={folder.as_posix(): sha256_folder(folder) for folder in FOLDERS.get(stage, ())},
        params=without_passwords(config),
        seed=config.get("seed"),
        code=code_digest(*about.code),
        code_of=about.code,
        versions=versions(),
        inputs={before: known.digests if (known := recorded_by(before)) else {} for before in about.inputs},
    )


def command_of(stage: str, arguments: Sequence[str]) -> str:
    """Return the command line that does the same again."""
    return shlex.join(
        ["python", "-m", f"pipeline.{stage}", *without_passwords([a for a in arguments if a != "--debug"])]
    )


def record_provenance(stage: str, config: Mapping[str, Any], arguments: Sequence[str]) -> None:
    """Write down what stands behind a stage that has just ended."""
    write_json(PROVENANCE / f"{stage}.json", provenance_of(stage, config, arguments))


def recorded_by(stage: str) -> Provenance | None:
    """Return what a stage wrote down, None if it was not started by its command."""
    path = PROVENANCE / f"{stage}.json"
    return read_record(Provenance, path) if path.exists() else None


def standing_behind(stage: str) -> Provenance:
    """Return what stands behind the artifacts that lie there: what was written down, if it is about these very files.

    Of the test split nothing is read, its digest is the written one.
    """
    found = {folder.as_posix(): sha256_folder(folder) for folder in FOLDERS[stage] if folder != TEST}
    known = recorded_by(stage)
    if known is not None and found.items() <= known.digests.items():
        return known
    return Provenance(stage=stage, command=command_of(stage, ["--params"]), digests=found)


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that make numbers."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # archline itself, run from its folder
    return found


def without_passwords(node: Any) -> Any:
    """Return settings with the password of every URL hidden."""
    if isinstance(node, Mapping):
        return {str(key): without_passwords(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [without_passwords(value) for value in node]
    return _PASSWORD.sub(r"://\1:***@", node) if isinstance(node, str) else node

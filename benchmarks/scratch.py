"""What the benchmarks share: options, scratch copies of the project, facts on machine and commit, result files."""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_SHIPPED = (
    "conf", "data", "pipeline", "search_spaces", "dvc.yaml", "params.yaml", ".dvc/config", ".dvc/.gitignore",
    ".dvcignore", ".gitignore", "pyproject.toml", "requirements.lock", "README.md",
)  # fmt: skip
ALONE = ("train.seeds=1", "train.default=false")
"""Settings of a final training that gets all of its seconds: what is compared here is made of one network each."""


def options(arguments: Sequence[str], defaults: Mapping[str, Any]) -> tuple[Path, dict[str, Any]]:
    """Return the folder and the options; an option has the type of its default. A mistake ends the process with 2."""
    if not arguments or "=" in arguments[0]:
        raise mistake("no folder given", "the folder comes first, then key=value")
    found = dict(defaults)
    for argument in arguments[1:]:
        key, equals, value = argument.partition("=")
        if not equals or key not in defaults:
            raise mistake(f"{argument!r} is not understood", f"known: {', '.join(f'{k}=' for k in defaults)}")
        default = defaults[key]
        if isinstance(default, bool):
            if value not in ("yes", "no"):
                raise mistake(f"{key}: {value!r} is neither yes nor no", f"{key}=yes or {key}=no")
            found[key] = value == "yes"
        elif isinstance(default, int):
            if not value.isdigit():
                raise mistake(f"{key}: {value!r} is not a whole number", f"{key}={default}")
            found[key] = int(value)
        else:
            found[key] = type(default)(value)
    return Path(arguments[0]).resolve(), found


def mistake(message: str, fix: str) -> SystemExit:
    """Tell the user's mistake on the error stream and return the exit to raise."""
    sys.stderr.write(f"error: {message}\n  fix: {fix}\n")
    return SystemExit(2)


@contextmanager
def scratch_project() -> Iterator[Path]:
    """Give a copy of the project as it is now, without results, in a Git repository of its own; it is removed after."""
    with tempfile.TemporaryDirectory(prefix="own_data_") as place:
        top = Path(place).resolve() / "project"
        for name in _SHIPPED:
            source, copy = ROOT / name, top / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", "fetched"))
            elif source.exists():
                shutil.copy(source, copy)
        for command in ("git init -q", "git add -A", "git commit -qm start"):
            subprocess.run(command.split(), cwd=top, env=environment(), check=True, capture_output=True)
        yield top


def environment() -> dict[str, str]:
    """Return this environment with this Python first on the path and a name for commits."""
    who = {f"GIT_{w}_{x}": "benchmark@example.org" for w in ("AUTHOR", "COMMITTER") for x in ("NAME", "EMAIL")}
    return dict(os.environ) | who | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def commit() -> dict[str, Any]:
    """Return the commit, whether the parts a scratch copy takes differ from it, and a digest of the difference."""
    new = _git("ls-files", "-z", "--others", "--exclude-standard", "--", *_SHIPPED).split("\0")
    texts = [_git("diff", "HEAD", "--", *_SHIPPED)] + [
        f"{n}\0{hashlib.sha256((ROOT / n).read_bytes()).hexdigest()}" for n in new if n
    ]
    changes = "\n".join(t for t in texts if t)
    digest = hashlib.sha256(changes.encode()).hexdigest()[:12] if changes else None
    return {"hash": _git("rev-parse", "HEAD").strip() or "unknown", "dirty": bool(changes), "changes": digest}


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)
    return done.stdout.decode(errors="replace") if done.returncode == 0 else ""


def circumstances() -> dict[str, Any]:
    """Return date, versions, processor, cores, load before, and the seed of conf/config.yaml."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "optuna", "pytorch-lightning")},
        "cpu": _cpu(),
        "cores": cores,
        "load_before": round(os.getloadavg()[0], 2),
        "seed": yaml.safe_load((ROOT / "conf" / "config.yaml").read_text(encoding="utf-8"))["seed"],
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def circumstances_lines(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each different machine, versions and commit among the records."""
    lines = {}
    for record in records:
        of, at = record["circumstances"], record["commit"]
        changed = " with changes" if at["dirty"] else ""
        text = (
            f"* {of['cpu']}, {of['cores']} cores; Python {of['python']}, torch {of['torch']}, Optuna {of['optuna']}, "
            f"Lightning {of['pytorch-lightning']}; seed {of['seed']}; commit {at['hash'][:10]}{changed}; "
        )
        lines.setdefault(text, []).append(of)
    return [
        f"{text}{min(o['date'] for o in found)[:10]}; load before {min(o['load_before'] for o in found)} to "
        f"{max(o['load_before'] for o in found)}"
        for text, found in lines.items()
    ]


def read_results(path: Path) -> dict[str, Any]:
    """Return the records by name; none where there is no file yet."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def write_results(path: Path, records: Mapping[str, Any], page: str) -> None:
    """Write the records and the page beside them, each whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texts = {path: json.dumps(records, indent=1, ensure_ascii=False) + "\n", path.with_suffix(".md"): page}
    for target, text in texts.items():
        part = target.with_name(f".{target.name}.part")
        part.write_text(text, encoding="utf-8")
        part.replace(target)


def chosen(only: str, known: Iterable[str], what: str = "only: no set") -> list[str]:
    """Return the names between commas, all known ones where there are none; an unknown name ends the process with 2."""
    names = [name for name in only.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise mistake(f"{what} {', '.join(unknown)}", f"known: {', '.join(known)}")
    return names or list(known)


def there_already(path: Path, key: str, marks: Mapping[str, Any]) -> bool:
    """Say whether the file holds a finished record of the same settings and commit."""
    old = read_results(path).get(key, {"status": "not there"})
    return old["status"] == "done" and all(old[k] == v for k, v in marks.items())


def merge(
    path: Path,
    key: str,
    record: Mapping[str, Any],
    place: Callable[[str], Any],
    render: Callable[[Mapping[str, Mapping[str, Any]]], str],
) -> None:
    """Put a record into the file, in the order of `place`, and write the page anew."""
    records = read_results(path) | {key: record}
    ordered = {name: records[name] for name in sorted(records, key=place)}
    write_results(path, ordered, render(ordered))


def one_thread() -> None:
    """Hold every command that follows to one thread."""
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))


def markdown(rows: Sequence[Sequence[object]]) -> list[str]:
    """Return the lines of a table whose first row is its head."""
    head, *body = rows
    return [f"| {' | '.join(cell(c) for c in row)} |" for row in (head, ["---"] * len(head), *body)]


def cell(text: object) -> str:
    """Return text that cannot break out of a cell of a Markdown table."""
    return " ".join(str(text).replace("|", "\\|").replace("<", "&lt;").split())

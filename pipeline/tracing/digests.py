"""Files, settings and code as they are now beside what stood behind the report, and beside dvc.lock where DVC ran."""

import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline.configure import flat
from pipeline.core import settings
from pipeline.core.contracts import Provenance
from pipeline.core.provenance import without_passwords
from pipeline.core.store import SEARCH, TRAIN, code_digest, sha256_file, sha256_folder
from pipeline.core.strict import plain
from pipeline.reporting import Records
from pipeline.stage import PARAMS, configuration, slice_for
from pipeline.tracing.comparing import ABSENT, Mismatch, Part, joined, same
from pipeline.training.members import member_file
from pipeline.training.simple import file_of

LOCK = Path("dvc.lock")
_IGNORED = (".part", ".pyc")
"""As in .dvcignore."""

Behind = Mapping[str, Provenance]


def digests_part(records: Records, behind: Behind) -> Part:
    """Take every digest again."""
    parts = [part for made in behind.values() for part in _stage_parts(made, behind)]
    parts.append(_compared("records: ", *_weights(records)))
    lock = _lock()
    parts += [part for made in behind.values() if made.stage in lock for part in _locked(made, lock[made.stage])]
    return joined("digests", *parts)


def _compared(said: str, reported: Mapping[str, object], found: Mapping[str, object]) -> Part:
    """Compare what is `said` under each name with what is found, and count each."""
    names = dict.fromkeys((*reported, *found))
    pairs = {name: (reported.get(name, ABSENT), found.get(name, ABSENT)) for name in names}
    wrong = tuple(Mismatch(place=f"{said}{name}", reported=one, recomputed=two) for name, (one, two) in pairs.items()
                  if not same(one, two))  # fmt: skip
    return Part(name="digests", checked=len(pairs), equal=len(pairs) - len(wrong), mismatches=wrong)


def _stage_parts(made: Provenance, behind: Behind) -> Iterator[Part]:
    yield _compared(f"{made.stage}: ", made.digests, {path: _digest(Path(path)) for path in made.digests})
    for before, read in made.inputs.items():
        if read and before in behind:
            known = {path: behind[before].digests.get(path, ABSENT) for path in read}
            yield _compared(f"{made.stage} read of {before}: ", read, known)
    if made.recorded:
        yield _compared(f"{made.stage}: ", {"code": made.code}, {"code": code_digest(*made.code_of)})
        arguments = shlex.split(made.command)[3:]
        where = PARAMS.name if "--params" in arguments else "conf"
        now = _settings(made.stage, configuration(arguments))
        yield _compared(f"{made.stage}: {where}: ", _settings(made.stage, made.params), now)


def _settings(stage: str, config: Mapping[str, Any]) -> dict[str, object]:
    """Return what a stage reads of a configuration by dotted names, defaults filled in."""
    kind = getattr(settings, f"{stage.capitalize()}Slice")
    return flat(without_passwords(plain(slice_for(stage, kind, config))))


def _weights(records: Records) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digests of weights and of simple members as the records have them, and those of the files."""
    mixed = records.ensemble.mixed
    recorded = {TRAIN / "model.safetensors": records.model.weights_sha256}
    for member in (*records.ensemble.members, *(mixed.members if mixed else ())):
        recorded[SEARCH / "members" / member_file(member.number, member.repeat)] = member.weights_sha256
    for simple in mixed.simple if mixed else ():
        recorded[SEARCH / "members" / file_of(simple.name)] = simple.predictions_sha256
    return {str(p): d for p, d in recorded.items()}, {str(path): _digest(path) for path in recorded}


def _digest(path: Path) -> str:
    if path.is_dir():
        return sha256_folder(path)
    return sha256_file(path) if path.exists() else ABSENT


def _lock() -> Mapping[str, Any]:
    import yaml

    if not LOCK.exists():
        return {}
    found: Mapping[str, Any] = yaml.safe_load(LOCK.read_text(encoding="utf-8"))["stages"]
    return found


def _locked(made: Provenance, locked: Mapping[str, Any]) -> Iterator[Part]:
    """Compare with what DVC noted, unless the stage was run by hand with other arguments since."""
    if locked["cmd"] != made.command:
        return
    outs = {out["path"]: out["md5"] for out in locked.get("outs", ())}
    yield _compared(f"{LOCK}: {made.stage}: ", outs, {path: md5_of(Path(path)) for path in outs})
    if made.recorded and (params := locked.get("params", {}).get(PARAMS.name)):
        yield _compared(
            f"{LOCK}: {made.stage}: {PARAMS}: ", _settings(made.stage, params), _settings(made.stage, made.params)
        )


def md5_of(path: Path) -> str:
    """Return the digest that DVC gives a file, or a folder: that of the JSON list of its files in order of name."""
    if not path.exists():
        return ABSENT
    if path.is_file():
        return _md5(path.read_bytes())
    files = [f for f in path.rglob("*") if f.is_file() and f.suffix not in _IGNORED]
    listed = sorted(({"md5": _md5(f.read_bytes()), "relpath": f.relative_to(path).as_posix()} for f in files),
                    key=lambda entry: entry["relpath"])  # fmt: skip
    return f"{_md5(json.dumps(listed, sort_keys=True).encode())}.dir"


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()

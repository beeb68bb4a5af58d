"""conf/ → params.yaml: the resolved, tracked record of the active composition, and the first stage of `dvc repro`.

`dvc repro` never composes Hydra configuration itself; `dvc exp run -S …` does, and writes params.yaml before the
stages run. So this stage composes, except inside an experiment, where it checks and keeps what DVC composed, but for
the fragments of the space: params.yaml holds what they stand for, so that DVC notices an edited one.
Every stage's slice is read strictly here: a mistake stops the run before anything is spent.
"""

import logging
import os
import sys
from collections.abc import Mapping
from typing import Any

from pipeline.core import settings
from pipeline.core.errors import ConfigError
from pipeline.core.settings import STAGE_KEYS
from pipeline.core.store import write_bytes
from pipeline.core.strict import nearest
from pipeline.stage import PARAMS, launch, recorded, slice_for, whole

log = logging.getLogger("pipeline.configure")

_SHOWN = 12


def flat(node: object, prefix: str = "") -> dict[str, object]:
    """Return {dotted path: leaf value}."""
    if isinstance(node, Mapping) and node:
        return {path: leaf for key, sub in node.items() for path, leaf in flat(sub, f"{prefix}{key}.").items()}
    return {prefix[:-1]: node}


def check(config: Mapping[str, Any]) -> None:
    """Read every stage's slice strictly and refuse top-level keys that no stage reads."""
    known = sorted({key for keys in STAGE_KEYS.values() for key in keys})
    for key in config:
        if key not in known:
            near = nearest(key, known)
            fix = f"did you mean '{near}'?" if near else f"known keys: {', '.join(known)}"
            raise ConfigError(f"conf: unknown key '{key}'", fix=fix)
    for stage in STAGE_KEYS:
        slice_for(stage, getattr(settings, f"{stage.capitalize()}Slice"), config)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return one line per key that differs."""
    before, after = flat(old), flat(new)
    return [
        f"{key}: {before.get(key, '(absent)')!r} -> {after.get(key, '(absent)')!r}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, ...) != after.get(key, ...)
    ]


def run(config: Mapping[str, Any]) -> None:
    """Check the composition and record it."""
    from omegaconf import OmegaConf

    if os.environ.get("DVC_EXP_NAME") and PARAMS.exists():
        composed = recorded()
        check(composed)
        if whole(composed) == composed:
            log.info("params.yaml was composed by `dvc exp run`; checked and kept")
            return
        config = whole(composed)  # DVC does not know fragments
    check(config)
    text = OmegaConf.to_yaml(OmegaConf.create(dict(config)))  # the same bytes as DVC's own composition
    if PARAMS.exists():
        if PARAMS.read_text(encoding="utf-8") == text:
            log.info("params.yaml is current")
            return
        lines = changes(recorded(), config)
        for line in lines[:_SHOWN]:
            log.info(line)
        if len(lines) > _SHOWN:
            log.info("and %d more", len(lines) - _SHOWN)
    write_bytes(PARAMS, text.encode())
    log.info("params.yaml written")


if __name__ == "__main__":
    sys.exit(launch("configure", sys.argv[1:], run))

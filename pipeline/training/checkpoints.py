"""Where a training stood after an epoch: one file, written whole, and the one before it in case the last is damaged."""

import io
import logging
from pathlib import Path
from typing import Any

import torch

from pipeline.core.store import write_bytes

log = logging.getLogger(__name__)


def save_checkpoint(folder: Path, state: dict[str, Any], *, spare: bool = True) -> None:
    """Write last.ckpt; the old one becomes previous.ckpt, if a spare is wanted."""
    last = folder / "last.ckpt"
    content = io.BytesIO()
    torch.save(state, content)
    if spare and last.exists():
        last.replace(folder / "previous.ckpt")
    write_bytes(last, content.getvalue())


def load_checkpoint(folder: Path) -> dict[str, Any] | None:
    """Return the newest readable state, or None; no code in the file is run."""
    for name in ("last.ckpt", "previous.ckpt"):
        path = folder / name
        if not path.exists():
            continue
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, ValueError, KeyError) as damage:
            log.warning("%s is damaged (%s); trying the one before", path, type(damage).__name__)
            continue
        return state
    return None

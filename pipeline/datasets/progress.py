"""Progress of long reading: a bar with its rate in a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

log = logging.getLogger("pipeline.prepare")

T = TypeVar("T")
_QUIET_SECONDS = 10.0


def told(items: Iterable[T], unit: str, total: int | None = None) -> Iterator[T]:
    """Pass items on, and tell how many of how many there were and how fast; short work says nothing."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, total=total, unit=f" {unit}", delay=1.0, leave=False, dynamic_ncols=True)
        return
    start = last = time.monotonic()
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= _QUIET_SECONDS:
            last = now
            of = f" of {total:,}" if total else ""
            log.info("%s%s %s, %.0f/s", f"{done:,}", of, unit, done / (now - start))

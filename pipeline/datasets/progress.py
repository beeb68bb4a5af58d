"""Progress of long reading: a bar with its rate in a terminal, a line now and then elsewhere."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

log = logging.getLogger("pipeline.prepare")

T = TypeVar("T")
_QUIET_SECONDS = 10.0


def told(
    items: Iterable[T], unit: str, total: int | None = None, size: Callable[[T], int] = lambda item: 1
) -> Iterator[T]:
    """Pass items on, and tell how many of how many there were and how fast; short work says nothing.

    `size` says for how many an item counts.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        with tqdm(total=total, unit=f" {unit}", delay=1.0, leave=False, dynamic_ncols=True) as bar:
            for item in items:
                yield item
                bar.update(size(item))
        return
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += size(item)
        now = time.monotonic()
        if now - last >= _QUIET_SECONDS:
            last = now
            of = f" of {total:,}" if total else ""
            log.info("%s%s %s, %.0f/s", f"{done:,}", of, unit, done / (now - start))

"""Requests that come at the same time are predicted together: a network takes hardly longer for many rows than for one.

One prediction runs at a time. What comes meanwhile waits, and goes together into the next.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import PipelineError
from pipeline.delivery.requests import Answer, Reader


@dataclass(frozen=True, slots=True)
class Waiting:
    """Items of one request, and who waits for their answers."""

    items: Sequence[Any]
    answers: "asyncio.Future[list[Answer]]"


class Batcher:
    """Gathers requests for `wait` seconds and predicts at most `most` rows together, a single request apart."""

    def __init__(self, reader: Reader, most: int, wait: float) -> None:
        self.reader, self.most, self.wait = reader, most, wait
        self.batches = 0
        """Predictions so far."""
        self._queue: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._one = threading.Lock()

    async def ask(self, items: Sequence[Any]) -> list[Answer]:
        """Return the answers to the items of one request.

        Raises:
            PipelineError: what predict says of them as a whole.
        """
        waiting = Waiting(items, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return await waiting.answers

    async def _work(self) -> None:
        await asyncio.sleep(self.wait)
        while self._queue:
            group = self._next()
            found: Sequence[list[Answer] | Exception]
            try:
                found = await asyncio.to_thread(self._answered, [one.items for one in group])
            except Exception as wrong:  # noqa: BLE001 - our mistake: who asked hears of it, and nobody waits for ever
                found = [wrong for _ in group]
            for one, answer in zip(group, found, strict=True):
                _settle(one.answers, answer)

    def _next(self) -> list[Waiting]:
        group = [self._queue.popleft()]
        rows = len(group[0].items)
        while self._queue and not self.reader.alone and rows + len(self._queue[0].items) <= self.most:
            group.append(self._queue.popleft())
            rows += len(group[-1].items)
        return group

    def _answered(self, requests: list[Sequence[Any]]) -> list[list[Answer] | PipelineError]:
        """Return the answers of several requests; if they cannot be read together, of each alone."""
        with self._one:
            self.batches += 1
            try:
                answers = self.reader.answers([item for items in requests for item in items])
            except PipelineError as wrong:
                if len(requests) == 1:
                    return [wrong]
            else:
                if len(requests) == 1:
                    return [answers]
                rows = iter(answers)
                return [[next(rows) for _ in items] for items in requests]
        return [found for items in requests for found in self._answered([items])]


def _settle(future: "asyncio.Future[list[Answer]]", answer: list[Answer] | Exception) -> None:
    if future.done():  # whoever asked has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)

"""Simple models fitted beside the trials, in a process of their own, for an ensemble that may have them as members.

What came of each is a file under state/: its predictions of the rows the ensemble is chosen on, or why there are none.
So a killed or restarted search goes on from the files alone, as with the weights of trials.
"""

import logging
import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.process import die_with
from pipeline.core.store import write_bytes
from pipeline.training.data import Data
from pipeline.training.simple import chosen_on, fit_simple, kinds_for, most_rows, packed, readable_name, simple_name
from pipeline.tuning.jobs import Problem
from pipeline.tuning.view import confirm_until
from pipeline.tuning.workers import end_of, on_gpu

log = logging.getLogger("pipeline.search")


class Fits:
    """The simple models of a study: fitted on training rows alone, they take their share of the cores."""

    def __init__(self, problem: Problem, folder: Path) -> None:
        """`folder`: where the weights of trials are kept.

        Raises:
            ConfigError: search.members names a model that such data do not have.
        """
        self.problem, self.folder = problem, folder
        self.kinds = kinds_for(problem.settings, problem.data)
        self.rows = most_rows(problem.settings, problem.data)

    def name(self, kind: str) -> str:
        """Return what the model of a kind is called here."""
        return simple_name(kind, self.problem.data)

    def path(self, kind: str) -> Path:
        """Return where its predictions lie, if they do."""
        return self.folder / f"{self.name(kind)}-{self.rows}.npy"

    def why_not(self, kind: str) -> str | None:
        """Return why there are no predictions of a kind, as far as that is known."""
        note = self.path(kind).with_suffix(".txt")
        return note.read_text(encoding="utf-8").partition("\n")[0] if note.exists() else None

    def predictions(self, kind: str) -> NDArray[np.float64] | None:
        """Return what it says of the rows the ensemble is chosen on (N, K), if it was fitted."""
        path = self.path(kind)
        return np.asarray(np.load(path, allow_pickle=False), dtype=np.float64) if path.exists() else None

    def complete(self) -> None:
        """Fit what a finished study has not tried yet."""
        untried = [kind for kind in self.kinds if self.why_not(kind) is None]
        seconds = self.problem.settings.seconds
        with self.beside(None if seconds is None else time.monotonic() + confirm_until(seconds) * seconds, untried):
            pass

    @contextmanager
    def beside(self, deadline: float | None, kinds: Sequence[str] | None = None) -> Iterator[None]:
        """Fit in the background what is not there yet; at the end of a `with` block wait for it until the deadline.

        `deadline`: of time.monotonic(). What ended without predictions before is tried again.
        """
        missing = [kind for kind in (self.kinds if kinds is None else kinds) if not self.path(kind).exists()]
        if not missing:
            yield
            return
        seconds = None if deadline is None else max(0.01, deadline - time.monotonic())
        names = ", ".join(readable_name(self.name(kind)) for kind in missing)
        log.info("fitted beside the trials: %s", names)
        context: Any = multiprocessing.get_context("spawn" if on_gpu(self.problem) else "fork")
        tasks = [(kind, self.path(kind)) for kind in missing]
        process = context.Process(
            target=_serve, args=(replace(self.problem.data), tasks, self.rows, self.problem.seed, seconds, os.getpid()),
            daemon=True,
        )  # fmt: skip
        process.start()
        try:
            yield
            process.join()
        finally:
            process.kill()
            process.join()
        self._note(missing, process.exitcode, seconds)

    def _note(self, kinds: Sequence[str], code: int | None, seconds: float | None) -> None:
        """Keep why a process ended without predictions."""
        late = code == -signal.SIGALRM
        why = f"it was not fitted within {seconds:.0f} s" if late else f"its process ended: {end_of(code)}"
        for kind in kinds:
            note = self.path(kind).with_suffix(".txt")
            if self.path(kind).exists():
                note.unlink(missing_ok=True)
            elif code != 0:
                write_bytes(note, why.encode())
            if (reason := self.why_not(kind)) is not None:
                log.warning("%s is no member of an ensemble: %s", readable_name(self.name(kind)), reason)


def _serve(
    data: Data, tasks: Sequence[tuple[str, Path]], rows: int, seed: int, seconds: float | None, parent: int
) -> None:
    """Fit one after another; the kernel ends this process when the seconds are over or the search is gone."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search
    die_with(parent)
    if seconds is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
    # Threads that wait for each other are many times slower than one where trials use all cores.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    for kind, path in tasks:
        try:
            (p,) = fit_simple(kind, data, rows, seed, [chosen_on(data)[1]])
        except Exception as wrong:  # noqa: BLE001  networks need no simple model; its traceback is kept
            first = str(wrong).partition("\n")[0]
            words = f"{type(wrong).__name__}: {first}\n\n{''.join(traceback.format_exception(wrong))}"
            write_bytes(path.with_suffix(".txt"), words.encode())
        else:
            write_bytes(path, packed(p))

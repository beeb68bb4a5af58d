"""Who runs jobs: this process, or processes of their own that outlive many trials and die alone.

A worker is forked once the data are in memory, so that it shares them and needs no start-up; where a GPU is used it is
started fresh, because a GPU cannot be shared over a fork.
"""

import contextlib
import faulthandler
import gc
import logging
import multiprocessing
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

import torch

from pipeline.core.errors import DeviceError
from pipeline.core.process import die_with
from pipeline.tuning.jobs import Job, OnFit, OnSign, Outcome, Problem
from pipeline.tuning.packs import PackJob, Work, work

log = logging.getLogger("pipeline.search")

_SIGN_EVERY = 1.0
_GPU_FAILED = 70
"""Exit code of a worker whose GPU gave an error: that process can compute nothing there any more."""
_GPU_GONE = "run the same command once it is back; without it the search goes on on the CPU"


class Crew(Protocol):
    """Takes jobs and gives outcomes back, in the order in which they end; those of a pack one by one."""

    def free(self) -> int:
        """Return how many more jobs may be given now; none while outcomes of a pack wait to be taken."""

    def give(self, problem: Problem, job: Work) -> None:
        """Start a job; somebody must be free."""

    def take(self) -> tuple[Job, Outcome]:
        """Wait for the next job that ends."""


class Alone:
    """This process. A crash takes the search with it; what a debugger wants."""

    def __init__(self, on_fit: OnFit | None = None, on_wait: OnSign | None = None) -> None:
        self._given: tuple[Problem, Work] | None = None
        self._done: list[tuple[Job, Outcome]] = []
        self._on_fit, self._on_wait = on_fit, on_wait

    def free(self) -> int:
        """One, unless a job waits to be taken."""
        return int(self._given is None and not self._done)

    def give(self, problem: Problem, job: Work) -> None:
        """Keep it until somebody waits for it."""
        self._given = problem, job

    def take(self) -> tuple[Job, Outcome]:
        """Run the job here."""
        if not self._done:
            assert self._given is not None
            (problem, job), self._given = self._given, None
            self._done = list(zip(job.wanted, work(problem, job, self._on_wait, self._on_fit), strict=True))
        return self._done.pop(0)


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    last_words: Path
    """Where a crash below Python writes what ran."""
    job: Work | None = None
    problem: Problem | None = None
    heard: float = 0.0


class Team:
    """Worker processes. One that dies or hangs costs its trial and is replaced; of a pack, each is then tried alone."""

    def __init__(
        self,
        problem: Problem,
        size: int,
        silence: float,
        on_fit: OnFit | None = None,
        on_wait: OnSign | None = None,
    ) -> None:
        """`silence`: seconds without a sign of life after which a worker counts as hanging."""
        self._problem, self._silence, self._on_fit, self._on_wait = problem, silence, on_fit, on_wait
        self._crashes = tempfile.TemporaryDirectory(prefix="archline-")
        self._started = 0
        gc.freeze()  # what a fork shares stays shared: nobody looks for garbage there
        self._gpu = on_gpu(problem)
        self._context: Any = multiprocessing.get_context("spawn" if self._gpu else "fork")
        self._workers = [self._start() for _ in range(size)]
        self._done: list[tuple[Job, Outcome]] = []
        self._waiting: list[tuple[Problem, Job]] = []
        """Of packs whose worker died."""

    def _start(self) -> _Worker:
        here, there = self._context.Pipe()
        last_words = Path(self._crashes.name) / str(self._started)
        self._started += 1
        process = self._context.Process(
            target=_serve,
            args=(there, here, self._problem, self._on_fit, os.getpid(), last_words, self._gpu),
            daemon=True,
        )
        process.start()
        there.close()
        return _Worker(process, here, last_words)

    def free(self) -> int:
        """Return the idle workers nothing waits for."""
        idle = sum(worker.job is None for worker in self._workers)
        return 0 if self._done else max(0, idle - len(self._waiting))

    def give(self, problem: Problem, job: Work) -> None:
        """Send a job to an idle worker."""
        worker = next(w for w in self._workers if w.job is None)
        worker.job, worker.problem, worker.heard = job, problem, time.monotonic()
        with contextlib.suppress(BrokenPipeError):  # its death is noticed by take
            worker.pipe.send((problem.trial_seconds, job))

    def take(self) -> tuple[Job, Outcome]:
        """Wait for an outcome; the death or silence of a worker is one as well."""
        while not self._done:
            while self._waiting and any(worker.job is None for worker in self._workers):
                self.give(*self._waiting.pop(0))
            busy = [w for w in self._workers if w.job is not None]
            assert busy
            ready = wait([w.pipe for w in busy], timeout=_SIGN_EVERY)
            if self._on_wait is not None:
                self._on_wait()
            for worker in busy:
                job = worker.job
                assert job is not None
                if worker.pipe in ready:
                    try:
                        said = worker.pipe.recv()
                    except (EOFError, ConnectionResetError):
                        self._bury(worker, None)
                        continue
                    worker.heard = time.monotonic()
                    if isinstance(said, DeviceError):
                        raise said
                    if isinstance(said, list):
                        worker.job = None
                        self._done += zip(job.wanted, said, strict=True)
                elif time.monotonic() - worker.heard > self._silence:
                    self._bury(worker, f"no sign of life for {self._silence:.0f} s")
        return self._done.pop(0)

    def _bury(self, worker: _Worker, why: str | None) -> None:
        """Replace a worker that died or hangs; its job failed, or those of its pack wait."""
        job, problem = worker.job, worker.problem
        assert job is not None
        assert problem is not None
        if why is not None:
            worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        code = worker.process.exitcode
        error = why or end_of(code)
        words = worker.last_words.read_text() if worker.last_words.exists() else ""
        self._workers[self._workers.index(worker)] = self._start()
        log.warning("the worker of trial %d ended: %s", job.place, error)
        if isinstance(job, PackJob):
            if words:  # no outcome keeps them
                log.warning("%s", words.rstrip())
            self._waiting += [(problem, one) for one in job.wanted]
            return
        died = Outcome(place=job.place, repeat=job.repeat, state="failed", error=f"WorkerDied: {error}",
                       traceback=words or f"The process of this trial ended without one: {error}.\n")  # fmt: skip
        self._done.append((job, died))

    def close(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.pipe.close()
        self._crashes.cleanup()


@contextmanager
def crew_of(
    problem: Problem, size: int, silence: float, on_fit: OnFit | None = None, on_wait: OnSign | None = None
) -> Iterator[Crew]:
    """Give the crew of a search: `size` workers, or this process where it is 0.

    `on_wait`: called at least once a second while somebody trains.
    """
    if size == 0:
        yield Alone(on_fit, on_wait)
        return
    team = Team(problem, size, silence, on_fit, on_wait)
    try:
        yield team
    finally:
        team.close()


def usual_workers(problem: Problem) -> int:
    """Return one worker per GPU, or per core that this process may use."""
    if on_gpu(problem):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // problem.trainer.threads)


def on_gpu(problem: Problem) -> bool:
    """Say whether trials run on a GPU."""
    from pipeline.training.device import choose_device

    return choose_device(problem.trainer)[0] == "cuda"


def end_of(code: int | None) -> str:
    """Say how a process ended."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return "its GPU failed" if code == _GPU_FAILED else f"exit code {code}"


def _serve(
    pipe: Connection, other: Connection, problem: Problem, on_fit: OnFit | None, parent: int, words: Path, gpu: bool
) -> None:
    """Run jobs until the search's process is gone. `gpu`: whether that one found a GPU to train on."""
    other.close()
    crash = words.open("w")  # stays open: a crash has no time to open it
    faulthandler.enable(crash)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the search; it ends its workers
    die_with(parent)
    on_sign = _signs(pipe)
    while True:
        try:
            trial_seconds, job = pipe.recv()
        except EOFError:
            return
        try:
            if gpu and not on_gpu(problem):  # what is declared as auto must not become hours on the CPU unnoticed
                raise DeviceError("search: the GPU that trained so far is not there any more", fix=_GPU_GONE)
            pipe.send(work(problem.within(trial_seconds), job, on_sign, on_fit))
        except DeviceError as wrong:
            pipe.send(wrong)
        except torch.AcceleratorError:
            traceback.print_exc(file=crash)
            crash.flush()
            os._exit(_GPU_FAILED)


def _signs(pipe: Connection) -> Callable[[], None]:
    last = 0.0

    def on_sign() -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _SIGN_EVERY:
            last = now
            pipe.send("alive")

    return on_sign

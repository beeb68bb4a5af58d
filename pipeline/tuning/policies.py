"""The policy of each new candidate: chosen once, in the search's process, before its first step.

What a probe found is kept below state/, by machine and by bucket of candidates that cost about the same, so that later
searches do not measure again. A row keeps its policy: nothing is decided twice, whatever the machine does meanwhile.
"""

import logging
import math
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from pipeline.core.contracts import Candidate, Policy
from pipeline.core.errors import ArtifactError, PipelineError
from pipeline.core.store import read_json, write_json
from pipeline.core.strict import plain, read
from pipeline.training.budgets import batch_of
from pipeline.training.machine import machine_words
from pipeline.training.policy import policy_for, unchecked, variants, why_no_bf16
from pipeline.training.probe import Parity, Probed, parity_of_kin, probe
from pipeline.tuning.constraints import weights_of
from pipeline.tuning.jobs import Problem

log = logging.getLogger("pipeline.search")

POLICIES = "policies.json"
"""Below state/: what was measured."""
_MEASURING = 0.02
"""Of the seconds of a search, for all probes together; without seconds, on a GPU, so many:"""
_WITHOUT_LIMIT = 20.0
_LONGEST, _SHORTEST = 4.0, 0.3
"""Seconds of one probe; with less time left there is none."""
_COMPILE_FROM, _COMPILE_SECONDS = 600.0, 60.0
"""Seconds of a trial from which compilation may be repaid, and what it is granted to be tried."""


class Policies:
    """Says how a new candidate is computed."""

    def __init__(self, problem: Problem, path: Path) -> None:
        """`path`: of the file that keeps what was measured."""
        self.problem, self.path = problem, path
        self.usual = policy_for(problem.trainer, problem.data.inputs)
        self._machine = machine_words(self.usual.device)
        self._found: dict[str, Probed] = {}
        self._spent = 0.0
        self._measures = self._worth_it()

    def _worth_it(self) -> bool:
        """Say whether anything is measured: something must be left to choose.

        What is measured differs from run to run, so a search without `seconds` on the CPU, which repeats, takes what
        is usual.
        """
        on_gpu = self.usual.device == "cuda"
        every = variants(self.problem.trainer, nn.Conv2d(1, 1, 1, device="meta"), self.usual, compiled=on_gpu)
        return len(every) > 1 and (on_gpu or self.problem.settings.seconds is not None)

    def of(self, candidate: Candidate, otherwise: Policy | None = None) -> Policy:
        """Return the policy of a candidate: as measured for its bucket, or what is usual.

        `otherwise`: measured for a smaller network of the family; the whole bucket takes it, if its numbers agree here
        too, and does not measure again what is fastest.
        """
        if not self._measures:
            return self.usual
        try:
            bucket = self.bucket(candidate)
        except (PipelineError, ValueError, RuntimeError):  # if it cannot be made, its own trial says so
            return self.usual
        if bucket not in self._found:
            kept = self._kept().get(bucket)
            found = kept or (self._probed(candidate) if otherwise is None else self._checked(candidate, otherwise))
            self._found[bucket] = found
            if kept is None and found.turns:
                self._keep(bucket)
        return policy_for(self.problem.trainer, self.problem.data.inputs, self._found[bucket].policy)

    def bucket(self, candidate: Candidate) -> str:
        """Return what candidates have in common whose policy is the same."""
        problem, inputs = self.problem, self.problem.data.inputs
        trainer = problem.trainer
        size = math.ceil(math.log2(weights_of(candidate, inputs, problem.data.outputs)))
        rows = batch_of(candidate.optimizer, inputs, len(problem.data.train.y))
        free = f"{trainer.precision} {trainer.memory_format} {plain(trainer.compile)} {trainer.threads} threads"
        free += f" {trainer.accumulate} parts" * (trainer.accumulate > 1)
        shape = " ".join(f"{name} {value}" for name, value in plain(inputs).items() if isinstance(value, int))
        kind = candidate.architecture["kind"]
        return f"{kind} of 2^{size} weights, {rows} rows a step, {inputs.kind} {shape}, {free}"

    def _probed(self, candidate: Candidate) -> Probed:
        """Measure, if there is time."""
        problem, settings = self.problem, self.problem.settings
        granted = _WITHOUT_LIMIT if settings.seconds is None else _MEASURING * settings.seconds
        left = granted - self._spent
        if left < _SHORTEST:
            return Probed(policy=self.usual, turns=0)
        long = (problem.trial_seconds or math.inf) >= _COMPILE_FROM and left >= _COMPILE_SECONDS
        compiled = self.usual.device == "cuda" and long
        began = time.monotonic()
        torch.set_num_threads(problem.trainer.threads)
        try:
            seconds = _COMPILE_SECONDS if compiled else min(_LONGEST, left)
            found = probe(candidate, problem.data, problem.trainer, seconds=seconds, compiled=compiled)
        except Exception as wrong:  # noqa: BLE001  a candidate that cannot be trained fails as a trial, with its traceback
            log.warning("a %s could not be probed (%s: %s)", candidate.architecture["kind"], type(wrong).__name__,
                        str(wrong).partition("\n")[0])  # fmt: skip
            found = Probed(policy=self.usual, turns=0)
        self._spent += time.monotonic() - began
        if found.turns:
            why = why_no_bf16(problem.trainer, self.usual.device)
            log.info("%s of this size: %s%s%s", candidate.architecture["kind"], found.policy.words, _others(found),
                     "" if why is None else f"; no bf16, {why}")  # fmt: skip
        return found

    def _checked(self, candidate: Candidate, otherwise: Policy) -> Probed:
        """Return the policy of a smaller network as far as it agrees with the usual one here; nothing is timed.

        Compilation stays with what it was tried on: it takes longer to compare than most trainings.
        """
        problem, as_laid_out = self.problem, unchecked(otherwise, self.usual)
        otherwise = replace(as_laid_out, precision=otherwise.precision)
        if otherwise == as_laid_out:
            return Probed(policy=otherwise, turns=0)
        kind = candidate.architecture["kind"]
        torch.set_num_threads(problem.trainer.threads)
        try:
            parity = parity_of_kin(candidate, problem.data, problem.trainer, self.usual, otherwise)
        except Exception as wrong:  # noqa: BLE001  as above: its trial says why
            why = f"{type(wrong).__name__}: {str(wrong).partition(chr(10))[0]}"
            log.warning("a larger %s could not be compared (%s)", kind, why)
            return Probed(policy=as_laid_out, turns=0)
        if not parity.holds:
            log.info("a larger %s is not computed in %s: %.2f of a gradient and %.2f of the loss away", kind,
                     otherwise.precision, parity.gradient, parity.loss)  # fmt: skip
        return Probed(policy=otherwise if parity.holds else as_laid_out, turns=0)

    def _kept(self) -> dict[str, Probed]:
        """Return what was measured on this machine, by bucket."""
        return self._file().get(self._machine, {})

    def _file(self) -> dict[str, dict[str, Probed]]:
        """Return what was measured, by machine and bucket."""
        if not self.path.exists():
            return {}
        try:
            return read(dict[str, dict[str, Probed]], read_json(self.path), str(self.path), ArtifactError)
        except ArtifactError as wrong:
            log.warning("%s; it is measured again", str(wrong).partition("\n")[0])
            return {}

    def _keep(self, bucket: str) -> None:
        """Add to the file; of two searches that write at once one has to measure again."""
        whole = self._file()
        whole[self._machine] = whole.get(self._machine, {}) | {bucket: self._found[bucket]}
        write_json(self.path, whole)


def _others(found: Probed) -> str:
    """Say how fast the other policies are."""
    said = [f"{one.policy.words} {one.speed_up:.2f} times as fast{_refusal(one.parity)}" for one in found.tried]
    return f" ({'; '.join(said)}, against the usual policy)" if said else ""


def _refusal(parity: Parity | None) -> str:
    return "" if parity is None or parity.holds else f" but {parity.gradient:.2f} of a gradient away"

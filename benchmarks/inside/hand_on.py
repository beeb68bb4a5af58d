"""Write artifacts/search/best.json with a family's default, as a search that found nothing better would.

python -m hand_on FAMILY [setting …]    (FAMILY may be empty: the default family)

How it is computed is measured on this machine, as a search does before a candidate's first step. Where the settings
name `train.seconds`, defaults that rise as time allows are raised for one training.
"""

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from pipeline.core.contracts import (
    Best,
    Candidate,
    DatasetCard,
    EnsembleRecord,
    FrontRecord,
    Policy,
    SearchRecord,
    TrialRecord,
)
from pipeline.core.settings import SearchSlice, TrainSlice
from pipeline.core.store import FIT, SEARCH, fresh_folder, read_record, write_json
from pipeline.space import DefaultChooser, parse, sample
from pipeline.stage import compose, slice_for
from pipeline.training.data import load_data
from pipeline.training.policy import policy_for, unchecked
from pipeline.training.probe import parity_of_kin, probe
from pipeline.tuning import Problem
from pipeline.tuning.rising import Measured, Timing, raised_defaults, raised_words
from pipeline.tuning.speed import speed_of

NO_ENSEMBLE = EnsembleRecord(metric="", members=(), score=None, single=None, single_score=None, split="val", rows=0,
                             considered=(), notes=("there was no search",))  # fmt: skip

NO_FRONT = FrontRecord(objectives=("score", "multiply_adds"), metric="", declared=False, compared=0, members=(), best=0,
                       default=None, reference=(), ideal=(), hypervolume=0.0, hypervolume_share=0.0)  # fmt: skip

_PROBE_SECONDS = 4.0


def hand_on(config: Mapping[str, Any], family: str, seconds: float | None = None) -> None:
    """Write the default candidate of the composed space and of a family; empty: of the default family.

    `seconds`: of one training, for which defaults are raised; None: they stay as declared.
    """
    chooser = DefaultChooser({"architecture.kind": family} if family else {})
    space = parse(config["space"])
    candidate = sample(space, chooser)
    slice_ = slice_for("search", SearchSlice, config)
    problem = Problem(load_data(read_record(DatasetCard, FIT / "dataset.json"), FIT),
                      replace(slice_.search, seconds=None), slice_.trainer, slice_.seed)  # fmt: skip
    torch.set_num_threads(problem.trainer.threads)

    def policy_of(candidate: Candidate, otherwise: Policy | None = None) -> Policy:
        usual = policy_for(problem.trainer, problem.data.inputs)
        if otherwise is not None:
            if otherwise == unchecked(otherwise, usual):
                return otherwise
            parity = parity_of_kin(candidate, problem.data, problem.trainer, usual, otherwise)
            sys.stdout.write(f"{otherwise.words}: {parity.gradient:.2f} of a gradient away\n")
            return otherwise if parity.holds else unchecked(otherwise, usual)
        found = probe(candidate, problem.data, problem.trainer, seconds=_PROBE_SECONDS)
        tried = ", ".join(one.policy.words for one in found.tried)
        sys.stdout.write(f"{found.policy.words} of {tried or 'no others'}\n")
        return found.policy

    policy, raised = policy_of(candidate), ()
    if seconds is not None:
        timing = Timing(problem, policy_of)
        at = Measured(speed=speed_of(problem, candidate, policy, timing.most), policy=policy)
        raised, at = raised_defaults(space, chooser.answers, at, seconds, timing)
        candidate = sample(space, DefaultChooser(chooser.answers | {one.name: one.value for one in raised}))
        policy = at.policy
    for one in raised:
        sys.stdout.write(f"{raised_words(one)}\n")
    best = Best(number=0, score=0.0, candidate=candidate, policy=policy)
    trial = TrialRecord(number=0, state="complete", score=0.0, quality=None, origin="default", candidate=best.candidate,
                        parameters=None, epochs=0.0, seconds=0.0, curve=())  # fmt: skip
    search = SearchRecord(study="", storage="", metric="", trials=(trial,), best=0, seconds=0.0,
                          raised=raised)  # fmt: skip
    with fresh_folder(SEARCH) as folder:
        write_json(folder / "best.json", best)
        write_json(folder / "search.json", search)
        write_json(folder / "front.json", NO_FRONT)
        write_json(folder / "ensemble.json", NO_ENSEMBLE)


if __name__ == "__main__":
    composed = compose(sys.argv[2:])
    declared = slice_for("train", TrainSlice, composed).train
    named = any(setting.startswith("train.seconds=") for setting in sys.argv[2:])
    shares = declared.seeds * (2 if declared.refit else 1)
    hand_on(composed, sys.argv[1], declared.seconds / shares if named and declared.seconds else None)

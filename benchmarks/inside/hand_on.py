"""Write artifacts/search/best.json with a family's default, as a search that found nothing better would.

python -m hand_on FAMILY [setting …]    (FAMILY may be empty: the default family)

How it is computed is measured on this machine, as a search does before a candidate's first step.
"""

import sys
from collections.abc import Mapping
from typing import Any

import torch

from pipeline.core.contracts import Best, DatasetCard, EnsembleRecord, FrontRecord, SearchRecord, TrialRecord
from pipeline.core.settings import SearchSlice
from pipeline.core.store import FIT, SEARCH, fresh_folder, read_record, write_json
from pipeline.space import DefaultChooser, parse, sample
from pipeline.stage import compose, slice_for
from pipeline.training.data import load_data
from pipeline.training.probe import probe

NO_ENSEMBLE = EnsembleRecord(metric="", members=(), score=None, single=None, single_score=None, split="val", rows=0,
                             considered=(), notes=("there was no search",))  # fmt: skip

NO_FRONT = FrontRecord(objectives=("score", "multiply_adds"), metric="", declared=False, compared=0, members=(), best=0,
                       default=None, reference=(), ideal=(), hypervolume=0.0, hypervolume_share=0.0)  # fmt: skip

_PROBE_SECONDS = 4.0


def hand_on(config: Mapping[str, Any], family: str) -> None:
    """Write the default candidate of the composed space and of a family; empty: of the default family."""
    given = {"architecture.kind": family} if family else {}
    candidate = sample(parse(config["space"]), DefaultChooser(given))
    trainer = slice_for("search", SearchSlice, config).trainer
    torch.set_num_threads(trainer.threads)
    data = load_data(read_record(DatasetCard, FIT / "dataset.json"), FIT)
    found = probe(candidate, data, trainer, seconds=_PROBE_SECONDS)
    sys.stdout.write(f"{found.policy.words} of {', '.join(one.policy.words for one in found.tried) or 'no others'}\n")
    best = Best(number=0, score=0.0, candidate=candidate, policy=found.policy)
    trial = TrialRecord(number=0, state="complete", score=0.0, quality=None, origin="default", candidate=best.candidate,
                        parameters=None, epochs=0.0, seconds=0.0, curve=())  # fmt: skip
    search = SearchRecord(study="", storage="", metric="", trials=(trial,), best=0, seconds=0.0)
    with fresh_folder(SEARCH) as folder:
        write_json(folder / "best.json", best)
        write_json(folder / "search.json", search)
        write_json(folder / "front.json", NO_FRONT)
        write_json(folder / "ensemble.json", NO_ENSEMBLE)


if __name__ == "__main__":
    hand_on(compose(sys.argv[2:]), sys.argv[1])

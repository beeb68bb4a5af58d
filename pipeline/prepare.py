"""Raw data → checked, split, packed rows; the test split lies in a folder of its own, sealed until evaluation."""

import logging

from pipeline.core.settings import PrepareSlice
from pipeline.core.store import FIT, TEST, fresh_folder, write_json
from pipeline.stage import run_stage

log = logging.getLogger("pipeline.prepare")


def run(settings: PrepareSlice) -> None:
    """Write artifacts/prepare/fit (card, intake, train, val) and artifacts/prepare/test."""
    from pipeline.datasets import intake_of, prepare_dataset, write_split

    prepared = prepare_dataset(settings.data, settings.seed)
    card = prepared.card
    with fresh_folder(FIT) as fit, fresh_folder(TEST) as test:
        write_json(fit / "dataset.json", card)
        write_json(fit / "intake.json", intake_of(settings.data, prepared))
        for split, packed in prepared.splits.items():
            write_split(test if split == "test" else fit, split, packed)
    rows = ", ".join(f"{split} {n:,}" for split, n in card.rows.items())
    what = f"{len(card.classes)} classes" if card.classes else ", ".join(target.name for target in card.targets[:5])
    log.info("%s: %s, %s (%s); rows: %s", card.name, card.inputs.kind, card.task, what, rows)
    for note in card.notes:
        log.info("note: %s", note)


if __name__ == "__main__":
    run_stage("prepare", PrepareSlice, run)

"""Score the trained network on the mean of its probabilities over shifted and mirrored views of each test image.

    python -m views [setting …]

Writes views.json: how many views, the accuracy, and its difference to the accuracy on the images alone, paired by row.
The views are the image and the four moved by one pixel (edges repeated, as in training), and the mirror of each where
the candidate was trained with mirrored images.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from pipeline.core.contracts import DatasetCard, ImageInputs
from pipeline.core.settings import EvaluateSlice
from pipeline.core.store import FIT, TEST, TRAIN, read_record, write_json
from pipeline.datasets import load_split
from pipeline.evaluation import judge_for
from pipeline.stage import compose, slice_for
from pipeline.training.data import Rows
from pipeline.training.heads import head_for
from pipeline.training.predict import predict
from pipeline.training.weights import load_model

_MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


def views_of(x_BCHW: Tensor, mirror: bool) -> Iterator[Tensor]:
    """Yield images of the same shape: as they are, moved by one pixel up, down, left and right; each mirrored too."""
    H, W = x_BCHW.shape[2:]
    for down, along in _MOVES:
        rows, columns = (torch.arange(H) + down).clamp(0, H - 1), (torch.arange(W) + along).clamp(0, W - 1)
        moved = x_BCHW[:, :, rows][:, :, :, columns]
        yield moved
        if mirror:
            yield moved.flip(-1)


def main() -> None:
    """Write views.json beside the artifacts."""
    settings = slice_for("evaluate", EvaluateSlice, compose(sys.argv[1:]))
    card = read_record(DatasetCard, FIT / "dataset.json")
    assert isinstance(card.inputs, ImageInputs)
    network, trained = load_model(TRAIN)
    test = load_split(TEST, "test")
    head = head_for(card.task, card.inputs, card.targets)
    found = [
        predict(network, Rows(x.numpy(), test.y, card.inputs, "cpu"), head)
        for x in views_of(torch.tensor(test.x), trained.candidate.optimizer.flip)
    ]
    judge = judge_for(card, settings.evaluate, settings.seed, test.y, test.rows, test.x)
    p = sum(found) / len(found)
    record = {
        "views": len(found),
        "score": judge.metrics(p, "views")["accuracy"],
        "gain": judge.gain(p, found[0], "views"),
    }
    write_json(Path("views.json"), record)


if __name__ == "__main__":
    main()

"""Small models that were really trained, by what the stages do, and the splits they were made with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.contracts import Budget, Candidate, ModelCard, Optimizer
from pipeline.core.data_settings import DataSettings
from pipeline.core.settings import TrainerSettings
from pipeline.core.store import write_json
from pipeline.datasets import Prepared, intake_of, prepare_dataset
from pipeline.predict import load
from pipeline.prediction import Model
from pipeline.training.data import Arrays, Data, Rows
from pipeline.training.fit import fit
from pipeline.training.heads import head_for
from pipeline.training.predict import predict
from pipeline.training.weights import save_weights


@dataclass(frozen=True)
class Trained:
    """A model's folder, and what it was trained on."""

    folder: Path
    prepared: Prepared

    @property
    def model(self) -> Model:
        """The model as anybody loads it."""
        return load(self.folder)

    def expected(self) -> np.ndarray:
        """Return what evaluate computes on the packed test rows."""
        card, test = self.prepared.card, self.prepared.splits["test"]
        head = head_for(card.task, card.inputs, card.targets)
        return predict(self.model.network, Rows(test.x, test.y, card.inputs, "cpu"), head)

    def test_ids(self) -> list[str]:
        """Return the ids of the test rows."""
        return list(self.prepared.splits["test"].rows["row_id"])


Train = Callable[..., Trained]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """Prepare data, train one epoch of a small network, write the folder as train does."""
    monkeypatch.chdir(tmp_path)

    def make(architecture: dict[str, Any], **settings: Any) -> Trained:
        declared = DataSettings(**({"name": "own", "path": str(tmp_path), "sensitive": {}, "slices": {}} | settings))
        prepared = prepare_dataset(declared, 7)
        card, splits = prepared.card, prepared.splits
        train, val = splits["train"], splits["val"]
        data = Data(card.inputs, card.outputs, Arrays(train.x, train.y), Arrays(val.x, val.y), task=card.task,
                    targets=card.targets)  # fmt: skip
        candidate = Candidate(architecture=architecture, optimizer=Optimizer(batch_size=32))
        done = fit(candidate, data, Budget(epochs=1), seed=7, trainer=TrainerSettings(device="cpu", precision="fp32"))
        folder = tmp_path / "model"
        folder.mkdir()
        weights = save_weights(folder, done.network)
        model = ModelCard(candidate=candidate, inputs=card.inputs, outputs=card.outputs, parameters=done.parameters,
                          seed=7, device="cpu", precision="fp32", epochs=done.records, seconds=1.0, search_score=0.0,
                          val_score=0.0, val_quality=0.0, weights_sha256=weights)  # fmt: skip
        write_json(folder / "card.json", model)
        write_json(folder / "intake.json", intake_of(declared, prepared))
        return Trained(folder, prepared)

    return make

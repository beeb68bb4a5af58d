"""What a network learns from: packed rows of some splits, and the same rows on a device."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.core.contracts import DatasetCard, ForecastInputs, Inputs, Target, Task
from pipeline.core.errors import ConfigError
from pipeline.core.store import missing
from pipeline.datasets import Split, load_split

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Arrays:
    """Packed rows as pipeline.datasets.Split has them: x, y and how much each row counts."""

    x: NDArray[Any]
    y: NDArray[Any]
    weight: NDArray[Any] | None = None
    said: NDArray[Any] | None = None
    """(N, K) probabilities or values that a network learns in place of y, where it learns from others."""
    groups: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Group of each row, by sensitive feature; no network reads them."""


@dataclass(frozen=True)
class Data:
    """What a network reads and gives, and the rows it may see."""

    inputs: Inputs
    outputs: int
    train: Arrays
    val: Arrays
    reserve: Arrays | None = None
    task: Task = "multiclass"
    targets: tuple[Target, ...] = ()
    sensitive: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Group of each validation row, by sensitive feature; no network reads them."""
    exchangeable: bool = False
    """Whether rows may change places between splits: neither time nor whose they are splits them."""
    folded: "dict[tuple[int, int], Data]" = field(default_factory=dict, init=False, repr=False, compare=False)
    """Of these rows, by number of the fold and seed; see folds.py."""
    _placed: "dict[tuple[str, str], Rows]" = field(default_factory=dict, init=False, repr=False, compare=False)

    def placed(self, split: Literal["train", "val", "reserve"], device: str) -> "Rows":
        """Return the rows of a split on a device; they are brought there once."""
        import torch

        if (split, device) not in self._placed:
            arrays = getattr(self, split)
            rows = Rows(arrays.x, arrays.y, self.inputs, device, arrays.weight)
            rows.said = None if arrays.said is None else torch.tensor(arrays.said, device=device)
            self._placed[split, device] = rows
        return self._placed[split, device]

    @property
    def reserve_share(self) -> float:
        """Of the validation rows and those in reserve, the share of the latter; 0 where there are none."""
        return 0.0 if self.reserve is None else len(self.reserve.y) / (len(self.val.y) + len(self.reserve.y))

    def with_validation_rows(self) -> "Data":
        """Return the same data with the validation and reserve rows among the training rows.

        Raises:
            ConfigError: training rows are weighted, and nobody knows how much the others count.
        """
        if self.train.weight is not None:
            raise ConfigError(
                "train.refit: training rows are weighted, validation rows are not", fix="train.refit=false"
            )
        parts = [part for part in (self.train, self.val, self.reserve) if part is not None]
        return replace(self, train=_joined(parts, isinstance(self.inputs, ForecastInputs)))


def _joined(parts: Sequence[Arrays], steps: bool) -> Arrays:
    """Return all rows of some splits; of forecasts (`steps`) x holds steps, and y where each window's future begins.

    The steps of a split hold the windows of its first rows, so none reaches from one split into the other.
    """
    groups = {name: np.concatenate([part.groups[name] for part in parts]) for name in parts[0].groups}
    if not steps:
        x, y = np.concatenate([part.x for part in parts]), np.concatenate([part.y for part in parts])
        return Arrays(x, y, groups=groups)
    before = np.cumsum([0, *(part.x.shape[1] for part in parts)])
    y = np.concatenate([part.y + start for part, start in zip(parts, before, strict=False)])
    return Arrays(np.concatenate([part.x for part in parts], axis=1), y, groups=groups)


def load_data(card: DatasetCard, folder: Path) -> Data:
    """Return the training and validation rows that prepare wrote to `folder`."""
    train, val = load_split(folder, "train"), load_split(folder, "val")
    names = [feature.name for feature in card.audit if feature.role == "sensitive"]

    def arrays(split: Split) -> Arrays:
        groups = {name: split.rows[f"audit.{name}"].to_numpy(object) for name in names}
        return Arrays(split.x, split.y, split.weight, groups=groups)

    if card.weight is not None and train.weight is None:
        raise missing(folder / "train_weight.npy")
    reserve = load_split(folder, "reserve") if card.rows.get("reserve") else None
    return Data(
        inputs=card.inputs,
        outputs=card.outputs,
        train=arrays(train),
        val=(scored := replace(arrays(val), weight=None)),
        reserve=replace(arrays(reserve), weight=None) if reserve is not None else None,
        task=card.task,
        targets=card.targets,
        sensitive=scored.groups,
        exchangeable=card.task != "forecast" and card.unit is None and card.time is None,
    )


class Rows:
    """Packed rows on a device; batches are taken by row number, windows of series are cut when they are asked for."""

    def __init__(
        self, x: NDArray[Any], y: NDArray[Any], inputs: Inputs, device: str, weight: NDArray[Any] | None = None
    ) -> None:
        import torch

        self.x, self.y = torch.tensor(x, device=device), torch.tensor(y, device=device)
        self.weight = None if weight is None else torch.tensor(weight, device=device, dtype=torch.float32)
        """(N,) how much each row counts, 1 on average; none where all count the same."""
        self.said: Tensor | None = None
        """(N, K), as Arrays has it."""
        self.inputs = inputs
        self.forecast = inputs if isinstance(inputs, ForecastInputs) else None

    def __len__(self) -> int:
        """Rows."""
        return len(self.y)

    def weighed(self, weight: NDArray[Any]) -> "Rows":
        """Return the same rows, which count by other weights (N,)."""
        import torch

        other = copy.copy(self)
        other.weight = torch.tensor(weight, device=self.y.device, dtype=torch.float32)
        return other

    def take(self, at: "Tensor") -> "tuple[Tensor, Tensor]":
        """Return inputs as packed (bytes of images stay bytes) and targets of the rows `at` (B,)."""
        at = at.to(self.y.device)
        return (self.x[at], self.y[at]) if self.forecast is None else cut_windows(self.x, self.y[at], self.forecast)

    def parts(self, batch: int) -> "Iterator[tuple[Tensor, Tensor]]":
        """Go through all rows in order."""
        import torch

        for at in torch.split(torch.arange(len(self)), batch):
            yield self.take(at)


def rows_at(
    x: NDArray[Any], y: NDArray[Any], inputs: Inputs, picked: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return inputs and targets of some packed rows; of a file that is memory-mapped nothing else is read."""
    import torch

    if not isinstance(inputs, ForecastInputs):
        return x[picked], y[picked]
    window, future = Rows(x, y, inputs, "cpu").take(torch.tensor(picked))
    return window.numpy(), future.numpy()


def cut_windows(x_CS: "Tensor", at_B: "Tensor", inputs: ForecastInputs) -> "tuple[Tensor, Tensor]":
    """Return windows (B, C, length) before the steps `at_B`, and what followed (B, horizon · targets).

    Of what comes after the window only the last `known` channels are shown; the rest is NaN.
    """
    import torch

    steps = torch.arange(-inputs.window, inputs.horizon, device=x_CS.device)
    whole_BCS = x_CS[:, at_B[:, None] + steps].transpose(0, 1)
    future_BTH = whole_BCS[:, : inputs.targets, inputs.window :]
    x_BCL = whole_BCS[:, :, : inputs.length].clone()
    x_BCL[:, : len(inputs.channels) - inputs.known, inputs.window :] = torch.nan
    return x_BCL, future_BTH.transpose(1, 2).flatten(1)

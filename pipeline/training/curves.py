"""Curves of a training for TensorBoard, which is no part of the installation (extra `tensorboard`)."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from pipeline.core.contracts import EpochRecord
from pipeline.core.errors import ConfigError
from pipeline.training.fit import OnScore


def refuse_without_tensorboard() -> None:
    """Refuse to write for TensorBoard where it is not installed."""
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "conf.train.tensorboard: tensorboard is not installed",
            fix="pip install 'archline[tensorboard]', or train.tensorboard=false",
        )


@contextmanager
def curves_in(folder: Path) -> Iterator[OnScore]:
    """Give what writes each record of a training to a folder of TensorBoard."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:

        def on_score(progress: float, record: EpochRecord) -> bool:
            for name in ("train_loss", "val_score", "val_quality", "lr"):
                if (value := getattr(record, name)) is not None:
                    writer.add_scalar(name, value, record.epoch)
            return True

        yield on_score

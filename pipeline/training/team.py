"""The processes that train one network together: each takes its share of a step's rows, gradients are averaged.

Lightning Fabric's strategy ddp around the same module that trials train. Fabric starts this command once more for each
further process of the machine; these train along and write nothing. What only one can know (the clock, a checkpoint, a
score) is what the first one says.
"""

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import Tensor, nn

from pipeline.core.errors import ConfigError, DeviceError
from pipeline.core.process import die_with
from pipeline.core.settings import TrainerSettings
from pipeline.training.device import choose_device

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.wrappers import _FabricModule

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)

_FIRST = "ARCHLINE_FIRST_PROCESS"
"""Variable of the environment: the id of the process that starts the others of its machine."""


@dataclass(frozen=True)
class Team:
    """One process of a team; without `fabric` it is all of it."""

    fabric: "Fabric | None" = None

    @property
    def size(self) -> int:
        """Processes, over all machines."""
        return 1 if self.fabric is None else self.fabric.world_size

    @property
    def rank(self) -> int:
        """Which of them this one is."""
        return 0 if self.fabric is None else self.fabric.global_rank

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def check_rows(self, least: int) -> None:
        """Refuse to share steps of which some have but `least` rows."""
        if self.size > least:
            raise ConfigError(
                f"conf.trainer.devices: {self.size} processes share the rows of a step, and some steps have {least}",
                fix="fewer devices or nodes, or trainer=auto",
            )

    def told(self, value: T) -> T:
        """Return the value that the first process has."""
        return value if self.fabric is None else self.fabric.broadcast(value)

    def mean(self, value: float) -> float:
        """Return the mean over all processes."""
        if self.fabric is None:
            return value
        whole = torch.tensor(value, dtype=torch.float64, device=self.fabric.device)
        return float(cast(torch.Tensor, self.fabric.all_reduce(whole, reduce_op="mean")))

    def averaged(self, value: Tensor) -> Tensor:
        """Return the mean of a tensor over all processes."""
        return value if self.fabric is None else cast(Tensor, self.fabric.all_reduce(value, reduce_op="mean"))

    def give(self, network: nn.Module) -> None:
        """Let all have the first one's weights and buffers: statistics of a process's own rows differ."""
        if self.fabric is not None:
            network.load_state_dict(self.told({name: value.cpu() for name, value in network.state_dict().items()}))

    def shared(self, module: M) -> M:
        """Return the module with gradients that are averaged over all processes when they are computed."""
        return module if self.fabric is None else cast(M, self.fabric.setup_module(module))

    def waiting(self, module: nn.Module, waits: bool) -> AbstractContextManager[None]:
        """Let gradients be summed up inside, not averaged yet, where more parts of the step follow."""
        if self.fabric is None:
            return nullcontext()
        return self.fabric.no_backward_sync(cast("_FabricModule", module), enabled=waits)

    def part(self) -> None:
        """End the team, once all have come this far."""
        if self.fabric is not None:
            self.fabric.barrier()
            torch.distributed.destroy_process_group()
            if os.environ.get(_FIRST) == str(os.getpid()):
                del os.environ["LOCAL_RANK"]  # by which Fabric knows that the others are there


ALONE = Team()


def gather(trainer: TrainerSettings) -> Team:
    """Start the other processes and meet them; in one of them, meet the rest.

    Raises:
        DeviceError: there are fewer GPUs than processes of this machine.
        ConfigError: there are other machines, and nobody said where they meet.
    """
    if trainer.processes == 1:
        return ALONE
    device = choose_device(trainer)[0]
    if device == "cuda" and trainer.devices > (here := torch.cuda.device_count()):
        raise DeviceError(
            f"conf.trainer.devices: {trainer.devices}, but PyTorch sees {here} GPU{'s' * (here != 1)}",
            fix=f"trainer.devices={here}",
        )
    if trainer.nodes > 1 and not {"MASTER_ADDR", "SLURM_NTASKS"} & set(os.environ):
        raise ConfigError(
            f"conf.trainer.nodes: {trainer.nodes}, but MASTER_ADDR does not say where they meet",
            fix="start the command on each machine with MASTER_ADDR, MASTER_PORT and NODE_RANK, or trainer.nodes=1",
        )
    return _met(trainer, device)


def _met(trainer: TrainerSettings, device: str) -> Team:
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy

    logging.getLogger("lightning_fabric").setLevel(logging.ERROR)
    # Buffers are those of a process's own rows: at the end all get the first one's, no step needs them.
    strategy = DDPStrategy(broadcast_buffers=False)
    fabric = Fabric(accelerator=device, devices=trainer.devices, num_nodes=trainer.nodes, strategy=strategy)
    if "LOCAL_RANK" not in os.environ:
        os.environ[_FIRST] = str(os.getpid())
    elif _FIRST in os.environ and os.environ["LOCAL_RANK"] != "0":
        die_with(int(os.environ[_FIRST]))  # before it waits for one that may be gone
    fabric.launch()
    if fabric.global_rank > 0:
        logging.getLogger("pipeline").setLevel(logging.WARNING)
    return Team(fabric)

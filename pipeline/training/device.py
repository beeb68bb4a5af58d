"""Where and in which precision numbers are computed. What was chosen is always said."""

from typing import Literal

import torch

from pipeline.core.errors import DeviceError
from pipeline.core.settings import TrainerSettings


def choose_device(settings: TrainerSettings) -> tuple[Literal["cpu", "cuda"], Literal["fp32", "bf16"]]:
    """Return device and precision before anything is measured; a device that must be and is not is a DeviceError."""
    here = torch.cuda.is_available()
    if settings.device == "cuda" and not here:
        raise DeviceError("conf.trainer.device: cuda, but PyTorch sees no GPU", fix="use trainer=auto or trainer=cpu")
    device: Literal["cpu", "cuda"] = "cuda" if here and settings.device != "cpu" else "cpu"
    return device, "fp32" if settings.precision == "auto" else settings.precision


def gpu_name() -> str:
    """Return how nvidia-smi calls the GPU that is used: its UUID, since both count GPUs differently."""
    return f"GPU-{torch.cuda.get_device_properties(0).uuid}"


def device_words(device: str) -> str:
    """Return the device for people and records: "cpu", or the GPU's name."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"

"""Where and in which precision numbers are computed. What was chosen is always said."""

import torch

from pipeline.core.errors import DeviceError
from pipeline.core.settings import TrainerSettings


def choose_device(settings: TrainerSettings) -> tuple[str, str]:
    """Return ("cpu" | "cuda", "fp32" | "bf16"); a device that was insisted on and is not here is a DeviceError."""
    here = torch.cuda.is_available()
    if settings.device == "cuda" and not here:
        raise DeviceError("conf.trainer.device: cuda, but PyTorch sees no GPU", fix="use trainer=auto or trainer=cpu")
    device = "cuda" if here and settings.device != "cpu" else "cpu"
    if settings.precision == "auto":
        return device, "bf16" if device == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
    return device, settings.precision


def gpu_name() -> str:
    """Return how nvidia-smi calls the GPU that is used: its UUID, since both count GPUs differently."""
    return f"GPU-{torch.cuda.get_device_properties(0).uuid}"


def device_words(device: str) -> str:
    """Return the device for people and records: "cpu", or the GPU's name."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"

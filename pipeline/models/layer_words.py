"""What a layer is called in a drawing."""

import re

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.pooling import (
    AdaptiveAvgPool1d,
    AdaptiveAvgPool2d,
    AdaptiveMaxPool1d,
    AdaptiveMaxPool2d,
    _MaxPoolNd,
)

_NORMS = {
    "LayerNorm": "layer norm",
    "GroupNorm": "group norm",
    "ChannelNorm": "norm over channels",
    "StepNorm": "batch norm over real steps",
}
_ACTIVATIONS = ("SiLU", "ReLU", "GELU")


def words_of(layer: nn.Module) -> str:
    """Return what a layer does in a few words; of a module of ours the name."""
    name = type(layer).__name__
    match layer:
        case _ConvNd():
            return _convolution(layer)
        case nn.Linear():
            return f"linear, {layer.in_features:,} → {layer.out_features:,}"
        case nn.GRU() | nn.LSTM():
            both = " in both directions" if layer.bidirectional else ""
            deep = f", {layer.num_layers} layers" if layer.num_layers > 1 else ""
            return f"{name}, {layer.input_size:,} → {layer.hidden_size:,}{both}{deep}"
        case nn.Embedding():
            return f"vectors of {layer.embedding_dim:,} for {layer.num_embeddings:,} codes"
        case _MaxPoolNd():
            return f"max pooling {_size(layer.kernel_size)}"
        case AdaptiveMaxPool1d() | AdaptiveMaxPool2d():
            return "largest of all places"
        case AdaptiveAvgPool1d() | AdaptiveAvgPool2d():
            return "mean of all places"
        case _BatchNorm():
            return "batch norm"
        case _ if name in _ACTIVATIONS:
            return name
    if name == "Block":  # every family has its own
        name = f"{type(layer).__module__.rpartition('.')[2]}Block"
    return _NORMS.get(name) or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").lower()


def _convolution(layer: _ConvNd) -> str:
    size = _size(layer.kernel_size)
    words = f"convolution over {size} steps" if len(layer.kernel_size) == 1 else f"{size} convolution"
    words += f", {layer.in_channels:,} → {layer.out_channels:,}"
    if layer.groups > 1:
        words += ", each channel alone" if layer.groups == layer.in_channels else f", {layer.groups} groups"
    if set(layer.stride) != {1}:
        words += f", stride {layer.stride[0]}"
    return words if set(layer.dilation) == {1} else f"{words}, dilation {layer.dilation[0]}"


def _size(kernel: int | tuple[int, ...]) -> str:
    """Return 3 × 3 of a tuple; a single number stands for all sides."""
    return str(kernel) if isinstance(kernel, int) else " × ".join(map(str, kernel))


def is_norm(layer: nn.Module) -> bool:
    """Say whether a layer does nothing but normalise."""
    return isinstance(layer, _BatchNorm) or type(layer).__name__ in _NORMS


def is_light(layer: nn.Module) -> bool:
    """Say whether a layer is drawn with the one before: norms, and torch's layers without weights."""
    plain = type(layer).__module__.startswith("torch.nn")
    return is_norm(layer) or (plain and next(layer.parameters(), None) is None)

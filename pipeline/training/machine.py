"""What this machine is, and what a training process asks of it."""

import ctypes
import functools
import gc
import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_CPUINFO = Path("/proc/cpuinfo")
_NATIVE_BF16 = {"avx512_bf16", "amx_bf16", "bf16", "svebf16"}
"""Flags of x86 and Arm; without them each product is made of several in fp32 and takes longer than one of these."""
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""
_KEPT_BYTES = 2**30
_NO_MEMORY = ("can't allocate memory", "could not create a primitive", "could not create a memory")
"""What torch says on the CPU, where it has no class for it; the last two of convolutions and the like (oneDNN)."""


@functools.cache
def processor() -> tuple[str, frozenset[str]]:
    """Return the name and the flags of the CPU; no flags where the system does not list them."""
    lines = _CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = said.get("flags", said.get("Features", "")).split()
    return said.get("model name") or platform.processor() or platform.machine(), frozenset(flags)


def machine_words(device: str) -> str:
    """Return what a measurement of speed depends on and a candidate does not decide."""
    name, flags = processor()
    mark = hashlib.sha256(" ".join(sorted(flags)).encode()).hexdigest()[:8]
    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    return f"{gpu}{name}, flags {mark}, torch {torch.__version__}"


def has_bf16(device: str) -> bool:
    """Say whether products in bf16 are made by the hardware."""
    if device == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(_NATIVE_BF16 & processor()[1])


@functools.cache
def keep_memory() -> bool:
    """Let this process keep freed memory for the next step; False where that cannot be said (no glibc).

    By default glibc takes each block above some size from the kernel and gives it back when it is freed, so that every
    step of a network with large activations begins by having the same pages zeroed again. Measured on Fashion-MNIST,
    256 rows a step: convnext took 3.5 % less CPU time and no page fault instead of 870 a step, speednet 2 % less.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES))
    return False


def out_of_memory(wrong: BaseException) -> bool:
    """Say whether an error says that memory, of a GPU or of this machine, was asked for and is not there."""
    if isinstance(wrong, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(wrong, RuntimeError) and any(words in str(wrong) for words in _NO_MEMORY)


def free_memory() -> None:
    """Give back what nobody holds any more, also what keep_memory kept."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def stepping(device: str) -> Iterator[None]:
    """Be fast inside: numbers below 1e-38 count as zero on the CPU, products of fp32 are made in TF32 on a GPU.

    Momentum of a weight whose gradient stays zero shrinks below 1e-38 within some 800 steps and never reaches zero:
    0.9 of the smallest number rounds to itself. Steps of such weights take 14 times as long, because processors handle
    these numbers in microcode. Scores and predictions are computed outside, as everywhere else. Holds for the thread
    that enters, so with trainer.threads above 1 for part of the work.
    """
    flushed: bool = device == "cpu" and torch.set_flush_denormal(True)
    before = torch.get_float32_matmul_precision()
    if device == "cuda":
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        if flushed:
            torch.set_flush_denormal(False)
        if device == "cuda":
            torch.set_float32_matmul_precision(before)

"""Weights of single trials, one file each, and the ensemble that some of them make."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from pipeline.core.contracts import Candidate, EnsembleRecord, Inputs, Member
from pipeline.core.errors import ArtifactError
from pipeline.core.store import missing, read_record, sha256_file, write_bytes
from pipeline.models import Network, build
from pipeline.training.data import Rows
from pipeline.training.heads import Head
from pipeline.training.predict import predict

MEMBERS = "members"
"""Folder of the files below artifacts/search/ and below a study's state."""


MEMBER_FILES = "trial-*.safetensors"


def member_file(number: int, repeat: int = 0) -> str:
    """Return the name of the file with the weights of a trial, or of its training again with another seed."""
    return f"trial-{number}.safetensors" if repeat == 0 else f"trial-{number}-seed-{repeat}.safetensors"


def which_member(path: Path) -> tuple[int, int]:
    """Return (trial, seed) of such a file."""
    number, _, repeat = path.stem.removeprefix("trial-").partition("-seed-")
    return int(number), int(repeat or 0)


def save_trial(path: Path, network: Network, score: float) -> None:
    """Write the weights of a trial, with its score in the file's header."""
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    write_bytes(path, save(tensors, metadata={"score": repr(score)}))


def noted_score(path: Path) -> float | None:
    """Return the score in the header of a file of weights, None where the file is damaged.

    Raises:
        FileNotFoundError: it is not there.
    """
    try:
        with safe_open(path, framework="pt") as weights:
            return float((weights.metadata() or {})["score"])
    except (SafetensorError, KeyError, ValueError):
        return None
    except RuntimeError:  # safetensors has it opened a second time, and says in this way that it went in between
        if path.exists():
            raise
        raise FileNotFoundError(path) from None


def noted_temperature(path: Path) -> float:
    """Return what the logits of a network are divided by."""
    with safe_open(path, framework="pt") as weights:
        return float(weights.get_tensor("temperature"))


def load_trial(path: Path, candidate: Candidate, inputs: Inputs, outputs: int) -> Network:
    """Return the network of a trial (CPU, evaluation mode, its temperature set)."""
    network = build(candidate.architecture, inputs, outputs)
    network.load_state_dict(load_file(path))
    return network.eval()


def load_ensemble(folder: Path, inputs: Inputs, outputs: int) -> tuple[EnsembleRecord, tuple[Network, ...]]:
    """Return ensemble.json and the network of each member; weights that do not match it are refused."""
    record = read_record(EnsembleRecord, folder / "ensemble.json")
    return record, load_members(folder, record.members, inputs, outputs)


def load_members(folder: Path, members: Sequence[Member], inputs: Inputs, outputs: int) -> tuple[Network, ...]:
    """Return the network of each member of an ensemble in `folder`; other weights are refused."""
    return tuple(_load_member(folder / MEMBERS, member, inputs, outputs) for member in members)


def _load_member(folder: Path, member: Member, inputs: Inputs, outputs: int) -> Network:
    path = folder / member_file(member.number, member.repeat)
    if not path.exists():
        raise missing(path)
    if sha256_file(path) != member.weights_sha256:
        raise ArtifactError(f"{path}: not the weights that ensemble.json describes", fix="run `dvc repro search`")
    return load_trial(path, member.candidate, inputs, outputs)


def predict_ensemble(
    networks: Sequence[Network], shares: Sequence[float], rows: Rows, head: Head
) -> NDArray[np.float64]:
    """Return the mean of the members' predictions (N, K), weighted by their shares, which sum to 1."""
    parts = [share * predict(network, rows, head) for network, share in zip(networks, shares, strict=True)]
    return np.asarray(sum(parts[1:], start=parts[0]))

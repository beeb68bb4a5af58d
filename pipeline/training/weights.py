"""Weights as safetensors beside the card that rebuilds the network."""

from pathlib import Path

from safetensors.torch import load_file, save

from pipeline.core.contracts import Candidate, FullTraining, ModelCard
from pipeline.core.errors import ArtifactError
from pipeline.core.store import missing, read_record, sha256_file, write_bytes
from pipeline.models import Network, build

HANDED_ON = "model.safetensors"


def save_weights(folder: Path, network: Network, name: str = HANDED_ON) -> str:
    """Write the weights and return their SHA-256."""
    path = folder / name
    write_bytes(path, save({name: value.contiguous() for name, value in network.state_dict().items()}))
    return sha256_file(path)


def load_model(folder: Path) -> tuple[Network, ModelCard]:
    """Return the trained network (CPU, evaluation mode) and its card; weights that do not match it are refused."""
    card = read_record(ModelCard, folder / "card.json")
    return _load(folder / HANDED_ON, card.weights_sha256, card.candidate, card), card


def load_training(folder: Path, card: ModelCard, of: FullTraining, candidate: Candidate) -> Network:
    """Return the network of another training that the card tells of, as `load_model` does."""
    return _load(folder / of.file, of.weights_sha256, candidate, card)


def _load(path: Path, digest: str, candidate: Candidate, card: ModelCard) -> Network:
    if not path.exists():
        raise missing(path)
    if sha256_file(path) != digest:
        raise ArtifactError(f"{path}: not the weights that card.json describes", fix="run `dvc repro train`")
    network = build(candidate.architecture, card.inputs, card.outputs)
    network.load_state_dict(load_file(path))
    return network.eval()

"""Weights as safetensors beside the card that rebuilds the network."""

from pathlib import Path

from safetensors.torch import load_file, save

from pipeline.core.contracts import ModelCard
from pipeline.core.errors import ArtifactError
from pipeline.core.store import missing, read_record, sha256_file, write_bytes
from pipeline.models import Network, build


def save_weights(folder: Path, network: Network) -> str:
    """Write model.safetensors and return its SHA-256."""
    path = folder / "model.safetensors"
    write_bytes(path, save({name: value.contiguous() for name, value in network.state_dict().items()}))
    return sha256_file(path)


def load_model(folder: Path) -> tuple[Network, ModelCard]:
    """Return the trained network (CPU, evaluation mode) and its card; weights that do not match it are refused."""
    card, path = read_record(ModelCard, folder / "card.json"), folder / "model.safetensors"
    if not path.exists():
        raise missing(path)
    if sha256_file(path) != card.weights_sha256:
        raise ArtifactError(f"{path}: not the weights that card.json describes", fix="run `dvc repro train`")
    network = build(card.candidate.architecture, card.inputs, card.outputs)
    network.load_state_dict(load_file(path))
    return network.eval(), card

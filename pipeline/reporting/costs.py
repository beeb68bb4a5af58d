"""What finding and training the network took: seconds, energy, and the disk that results lie on."""

from collections.abc import Mapping
from typing import Any

from pipeline.core.contracts import Explanations, ModelCard, Number, SearchRecord
from pipeline.core.strict import plain

_UNCOUNTED = "not counted: an earlier process was interrupted, or the record is older"


def cost_part(
    search: SearchRecord, model: ModelCard, explanations: Explanations, disk: Mapping[str, int]
) -> dict[str, Any]:
    """Return a line per stage, and the bytes of each folder in megabytes (10^6)."""
    lines = [
        {
            "stage": "search",
            "wall": _number(sum(seconds for _, seconds in search.phases) or None, "s", _UNCOUNTED),
            "processor": _number(search.processor_seconds, "s", _UNCOUNTED),
            "accelerator": _number(_on_accelerator(search), "s", "no accelerator was used"),
            "energy": _number(search.energy_wh, "Wh", _unmeasured(search.energy_of)),
            "energy_of": search.energy_of,
        },
        {
            "stage": "train",
            "wall": _number(model.seconds, "s", _UNCOUNTED),
            "processor": _number(model.processor_seconds, "s", _UNCOUNTED),
            "accelerator": _number(None if model.device == "cpu" else model.seconds, "s", "no accelerator was used"),
            "energy": _number(model.energy_wh, "Wh", _unmeasured(model.energy_of)),
            "energy_of": model.energy_of,
        },
        {
            "stage": "interpret",
            "wall": _number(explanations.seconds or None, "s", _UNCOUNTED),
            "processor": _number(None, "s", "not counted"),
            "accelerator": _number(None, "s", "no accelerator was used"),
            "energy": _number(None, "Wh", "not measured"),
            "energy_of": "",
        },
    ]
    sizes = [{"folder": folder, "size": _number(size / 1e6, "MB", "")} for folder, size in disk.items()]
    part = plain({"stages": lines, "disk": sizes})
    assert isinstance(part, dict)
    return part


def energy_not_assessed(search: SearchRecord, model: ModelCard) -> list[str]:
    """Return whose energy nobody knows; that of the stages after training never is."""
    known = {"the search": (search.energy_wh, search.energy_of), "the training": (model.energy_wh, model.energy_of)}
    gone = {name: _unmeasured(of) for name, (wh, of) in known.items() if wh is None}
    if len(gone) == len(known):
        return [f"energy: {gone['the search']}"]
    return [f"energy of {name}: {why}" for name, why in gone.items()] + ["energy of evaluation and explanations"]


def _on_accelerator(search: SearchRecord) -> float | None:
    """Return the training seconds of trials on a GPU, which was held for as long; None where there were none."""
    seconds = [trial.seconds for trial in search.trials if trial.policy is not None and trial.policy.device == "cuda"]
    return sum(seconds) if seconds else None


def _unmeasured(why: str) -> str:
    return f"not measured ({why})" if why else "not measured"


def _number(value: float | None, unit: str, reason: str) -> Number:
    return Number(value=value, n=0 if value is None else 1, unit=unit, reason=reason if value is None else None)

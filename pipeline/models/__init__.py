"""The model families. One file per family, one line here; the conformance tests sweep over this dict."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline.core.contracts import ForecastInputs, ImageInputs, Inputs, SeriesInputs, TableInputs, TextInputs
from pipeline.core.errors import SpaceError
from pipeline.core.strict import nearest, read
from pipeline.models import (
    bag,
    cct,
    cnn,
    convnext,
    inception,
    kernels,
    linear_forecast,
    mbconv,
    mlp,
    patchtst,
    resnet,
    rnn,
    series_resnet,
    speednet,
    table_resnet,
    tabm,
    textcnn,
    transformer,
    tsmixer,
)
from pipeline.models.network import Network, parameter_count

__all__ = ["FAMILIES", "Family", "Network", "build", "parameter_count", "read_architecture", "settled_architecture"]

_ALL = (ImageInputs, TextInputs, SeriesInputs, ForecastInputs, TableInputs)
_IMAGES = (ImageInputs,)
_TEXTS = (TextInputs,)
_SERIES = (SeriesInputs,)
_FORECASTS = (ForecastInputs,)
_TABLES = (TableInputs,)


@dataclass(frozen=True, slots=True)
class Family:
    """A frozen dataclass that describes an architecture, and the function that builds it."""

    architecture: type[Any]
    build: Callable[[Any, Any, int], Network]
    reads: tuple[type[Any], ...] = _ALL
    """Inputs it is made for."""
    settle: Callable[[Mapping[str, Any], Any, int], dict[str, Any]] | None = None
    """Puts numbers where an architecture may say auto."""


FAMILIES: Mapping[str, Family] = {
    "cnn": Family(cnn.CnnArchitecture, cnn.build),
    "rnn": Family(rnn.RnnArchitecture, rnn.build),
    "transformer": Family(transformer.TransformerArchitecture, transformer.build),
    "speednet": Family(speednet.SpeednetArchitecture, speednet.build, _IMAGES),
    "resnet": Family(resnet.ResnetArchitecture, resnet.build, _IMAGES),
    "convnext": Family(convnext.ConvnextArchitecture, convnext.build, _IMAGES),
    "mbconv": Family(mbconv.MbconvArchitecture, mbconv.build, _IMAGES),
    "cct": Family(cct.CctArchitecture, cct.build, _IMAGES),
    "bag": Family(bag.BagArchitecture, bag.build, _TEXTS),
    "textcnn": Family(textcnn.TextcnnArchitecture, textcnn.build, _TEXTS),
    "kernels": Family(kernels.KernelsArchitecture, kernels.build, _SERIES),
    "inception": Family(inception.InceptionArchitecture, inception.build, _SERIES),
    "series_resnet": Family(series_resnet.SeriesResnetArchitecture, series_resnet.build, _SERIES),
    "linear": Family(linear_forecast.LinearArchitecture, linear_forecast.build, _FORECASTS),
    "tsmixer": Family(tsmixer.TsmixerArchitecture, tsmixer.build, _FORECASTS),
    "patchtst": Family(patchtst.PatchtstArchitecture, patchtst.build, _FORECASTS),
    "mlp": Family(mlp.MlpArchitecture, mlp.build, _TABLES, mlp.settled),
    "tabm": Family(tabm.TabmArchitecture, tabm.build, _TABLES, mlp.settled),
    "table_resnet": Family(table_resnet.TableResnetArchitecture, table_resnet.build, _TABLES),
}


def read_architecture(architecture: Mapping[str, Any]) -> Any:
    """Return the architecture dataclass of the family that `kind` names; wrong fields or values are SpaceErrors."""
    kind = str(architecture.get("kind"))
    if kind not in FAMILIES:
        near = nearest(kind, list(FAMILIES))
        fix = f"did you mean '{near}'?" if near else f"families: {', '.join(FAMILIES)}"
        raise SpaceError(f"space.architecture: there is no family '{kind}'", fix=fix)
    return read(FAMILIES[kind].architecture, architecture, f"space.architecture.{kind}", SpaceError)


def settled_architecture(architecture: Mapping[str, Any], inputs: Inputs, outputs: int) -> dict[str, Any]:
    """Return an architecture as it is built: with a number where it says auto."""
    settle = FAMILIES[architecture["kind"]].settle
    if settle is None:
        return dict(architecture)
    described = asdict(read_architecture(architecture))
    found = settle(described, inputs, outputs)
    return {**architecture, **{name: found[name] for name, value in described.items() if value == "auto"}}


def build(architecture: Mapping[str, Any], inputs: Inputs, outputs: int) -> Network:
    """Return the network that `architecture` describes, with weights from torch's generator."""
    described = read_architecture(architecture)
    family = FAMILIES[architecture["kind"]]
    if not isinstance(inputs, family.reads):
        served = [name for name, other in FAMILIES.items() if isinstance(inputs, other.reads)]
        raise SpaceError(f"space.architecture: '{architecture['kind']}' does not read data of kind {inputs.kind}",
                         fix=f"families that do: {', '.join(served)}")  # fmt: skip
    return family.build(described, inputs, outputs)

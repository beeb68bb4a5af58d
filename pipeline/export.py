"""A trained network → files that run without this code, each compared with the network on validation rows.

    python -m pipeline.export [to=all] [output=FOLDER] [key=value …]

    to=<what>          onnx, torch (model.pt2 of torch.export), int8 (onnx with 8-bit weights), or all
    output=<folder>    artifacts/export unless said otherwise; what an earlier export wrote there is replaced
    model=<folder>     what train wrote; artifacts/train unless said otherwise
    data=<folder>      what prepare wrote for training; artifacts/prepare/fit unless said otherwise
    batch=<rows>       predictions of one row and of so many are timed; train.latency_batch where that is more, or 64

model.onnx and model.pt2 are written if they differ from the network by 1e-4 at most (of probabilities, or in training
deviations), and else nothing is, with exit code 1. export.json says what they read and give, how large and how fast
they are, and what int8 changes. card.json and intake.json lie beside it: how raw rows are packed.
"""

import importlib.util
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.core.arguments import read_arguments
from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.process import settle
from pipeline.core.store import ARTIFACTS, FIT, TRAIN, fresh_folder, write_json
from pipeline.delivery.record import Refused
from pipeline.stage import prepare_terminal

if TYPE_CHECKING:
    from pipeline.delivery.record import Kind

log = logging.getLogger("pipeline.export")

_NEEDS = ("onnx", "onnxruntime", "onnxscript")
_RECORD = "export.json"
_USUAL_BATCH = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """The command line."""

    to: Literal["onnx", "torch", "int8", "all"] = "all"
    output: str = str(ARTIFACTS / "export")
    model: str = str(TRAIN)
    data: str = str(FIT)
    batch: int | None = None


def run(arguments: Sequence[str]) -> None:
    """Write the folder and say what is in it."""
    wishes = read_arguments(Wishes, arguments, "export", "to=onnx output=<folder>")
    kinds: tuple[Kind, ...] = ("torch", "onnx", "int8") if wishes.to == "all" else (wishes.to,)
    output, model = Path(wishes.output), Path(wishes.model)
    check(wishes, kinds)

    from pipeline.delivery.exporting import exported, subject
    from pipeline.delivery.words import export_lines

    of = subject(model, Path(wishes.data))
    declared = of.card.latency.batch if of.card.latency else 1
    batch = wishes.batch or (declared if declared > 1 else _USUAL_BATCH)
    with fresh_folder(output) as folder:
        record = exported(of, kinds, folder, sorted({1, batch}))
        for name in ("card.json", "intake.json"):
            shutil.copyfile(model / name, folder / name)
        write_json(folder / _RECORD, record)
    for line in export_lines(record):
        log.info("%s", line)
    log.info("%s: %s", output, ", ".join(sorted(p.name for p in output.iterdir())))


def check(wishes: Wishes, kinds: Sequence[str]) -> None:
    """Refuse what cannot be done before anything heavy is loaded."""
    gone = [name for name in _NEEDS if importlib.util.find_spec(name) is None]
    if gone and set(kinds) != {"torch"}:
        raise ConfigError(f"export: {', '.join(gone)} not installed", fix="pip install 'archline[export]', or to=torch")
    if wishes.batch is not None and wishes.batch < 1:
        raise ConfigError("export: batch must be at least 1", fix="batch=64")
    output = Path(wishes.output)
    strange = output.exists() and (not output.is_dir() or (any(output.iterdir()) and not (output / _RECORD).exists()))
    if strange:
        raise ConfigError(f"export: output={output} is there and no earlier export", fix="name a new folder")
    for name, folder in (("model", wishes.model), ("data", wishes.data)):
        if not Path(folder).is_dir():
            stage = "train" if name == "model" else "prepare"
            raise ConfigError(f"export: {name}={folder}: no such folder", fix=f"run `dvc repro {stage}`, or name it")


def main(arguments: Sequence[str]) -> int:
    """Run and return the exit code."""
    settle()
    prepare_terminal("export")
    if set(arguments) & {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        run(arguments)
    except PipelineError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        return 130
    except Refused as wrong:
        sys.stderr.write(f"refused: {wrong}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

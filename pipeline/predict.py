"""Raw rows of the same kind as the training input → a file of predictions. One bad row costs that row alone.

    python -m pipeline.predict input=PATH output=FILE [key=value …]

    input=<path>       a file or folder like the training data: CSV, TSV, JSON lines, Parquet; texts also .txt (one by
                       line); images as files, a folder, an archive, idx or .npz; series as .ts, long or wide tables
    output=<file>      .csv or .parquet
    model=<folder>     what train wrote; artifacts/train unless said otherwise
    windows=<which>    forecasts: last, the steps after the end of each series, or all windows of the file
    device=<device>    cpu, cuda, or auto
    sets=<true|false>  whether sets of classes, or low and high of numbers, stand beside the answers; if not said, where
                       the model has them
    coverage=<share>   in how many rows they promise to hold the truth; 0.9
    threshold=<p>      two classes: the probability from which on the second is the label; auto, chosen by train on
                       validation rows, unless said otherwise
    threshold_for=<m>  what auto maximises: balanced_accuracy or f1

In Python: from pipeline.predict import load; model = load("artifacts/train"); model.predict(path_or_frame)

Per row: row_id (its place), predicted (the likeliest class) and p_<class>, or predicted_<target>; two classes: `label`
by the `threshold`, whose worth on test rows evaluate reports; `set` (names joined by |), or low_<target> and
high_<target>; classes and labels: `unlike_training`, true where the network reacts less than to 95 % of the validation
rows; `flag`: what is unlike the training rows, in words; `refused`: why there is no prediction. Targets may be there,
and are not read.
"""

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.core.arguments import read_arguments
from pipeline.core.contracts import ThresholdAim
from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.process import settle
from pipeline.core.settings import TrainerSettings
from pipeline.core.store import TRAIN
from pipeline.stage import prepare_terminal

if TYPE_CHECKING:
    from pipeline.prediction import Model

log = logging.getLogger("pipeline.predict")


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """The command line."""

    input: str
    output: str
    model: str = str(TRAIN)
    windows: Literal["last", "all"] = "last"
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    sets: Literal["auto", "true", "false"] = "auto"
    coverage: float = 0.9
    threshold: float | Literal["auto"] = "auto"
    threshold_for: ThresholdAim = "balanced_accuracy"


def load(
    folder: str | Path,
    device: Literal["auto", "cpu", "cuda"] = "cpu",
    *,
    sets: bool | None = None,
    coverage: float = 0.9,
    threshold: float | Literal["auto"] = "auto",
    threshold_for: ThresholdAim = "balanced_accuracy",
) -> "Model":
    """Return the trained network of a folder that train wrote, ready for `predict`.

    `sets`: whether sets or intervals that promise to hold the truth in a share `coverage` of rows stand beside the
    answers; None: where the model has them. `threshold`: from which probability on the second of two classes is the
    label; auto: chosen on validation rows for the best `threshold_for`.
    """
    from pipeline.prediction import load_folder
    from pipeline.training.device import choose_device

    if not Path(folder).is_dir():
        raise ConfigError(f"predict: model={folder}: no such folder", fix="run `dvc repro train`, or name its folder")
    model = load_folder(Path(folder), choose_device(TrainerSettings(device=device))[0])
    return model.with_threshold(Path(folder), threshold, threshold_for).with_sets(Path(folder), coverage, sets)


def run(arguments: Sequence[str]) -> None:
    """Predict a file, and tell how it went."""
    wishes = read_arguments(Wishes, arguments, "predict", "input=<path> output=<file>")
    from pipeline.datasets.progress import told
    from pipeline.prediction import output_file

    source, target = Path(wishes.input), Path(wishes.output)
    if source.exists() and target.exists() and source.samefile(target):
        raise ConfigError("predict: output is the input", fix="name another file")
    sets = {"true": True, "false": False}.get(wishes.sets)
    model = load(wishes.model, wishes.device, sets=sets, coverage=wishes.coverage, threshold=wishes.threshold,
                 threshold_for=wishes.threshold_for)  # fmt: skip
    model = replace(model, spread=True)
    for note in model.notes:
        log.info("note: %s", note)
    rows = flagged = refused = 0
    with output_file(target) as output:
        frames = model.stream(source, windows=wishes.windows)
        for frame in told(frames, "rows", model.rows_about(source), len):
            output.write(frame)
            rows += len(frame)
            flagged += int(frame["flag"].notna().sum())
            refused += int(frame["refused"].notna().sum())
            if refused == len(frame) == rows:
                log.info("the first %s rows are all refused: %s", f"{rows:,}", frame["refused"].iloc[0])
    log.info("%s: %s rows, %s flagged, %s refused", target, f"{rows:,}", f"{flagged:,}", f"{refused:,}")


def main(arguments: Sequence[str]) -> int:
    """Run and return the exit code."""
    settle()
    prepare_terminal("predict")
    if not arguments or set(arguments) & {"-h", "--help"}:
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
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

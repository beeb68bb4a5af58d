"""Look at your data, write conf/data/<name>.yaml, say what was understood. Nothing is asked and nothing is trained.

    python -m pipeline.init PATH [key=value …]

PATH is one of
    a CSV, TSV, JSONL or Parquet file, lines of a label, a space and a text, or a .ts file; files of the same name
        with train, val (or dev) and test in it are taken together
    a folder of such files
    a folder, tar or zip of images or of texts by class; a table with a column of image paths
    an .npz file of images and labels, or a folder of the four files of the MNIST family

What you may say; the rest is found out, and told:
    name=<name>               of the file written and of the data set; else that of PATH
    target=<column>           to predict; several numbers, or several labels of 0 and 1: target=[<column>,…]
    task=<task>               binary, multiclass, multilabel or regression, if the target does not show it
    text=<column>             learn from the text in this column
    horizon=<steps>           forecast so many steps of target
    time=<column>             orders the rows: the last ones are for testing; orders the steps of series
    id=<column>               names the series of a line; in a plain table: an identifier, never an input
    group_by=<column>         persons, patients, …: no group on two sides of a split
    weight=<column>           how much a row counts in training (survey weights, copies); 0: not at all
    sensitive=[<column>,…]    features of people that the audit compares; they are no inputs
    val_fraction=<share>      of the training rows that the search scores candidates on
    format=<format>           csv, text, series, forecast or image_table, if it was taken for another

The file written is yours to edit: every key has a comment.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.store import write_bytes
from pipeline.stage import CONF, compose, prepare_terminal, require_conf

if TYPE_CHECKING:
    from pipeline.sniffing.found import Found

log = logging.getLogger("pipeline.init")

_FORMATS = {
    "csv": "a line of a table.",
    "text": "a text with a label.",
    "series": "a labelled series.",
    "forecast": "some steps of a series, and those to forecast.",
    "images": "an image file; the folder is the class.",
    "image_table": "an image file that a table names.",
    "idx": "an image of the files of the MNIST family.",
    "npz": "an image of the arrays in a file.",
}
_COMMENTS = {
    "name": "Name in the report and in studies.",
    "format": "What a row is",
    "path": "Where the raw files lie.",
    "train_file": "Training rows; the name is tried with .gz too.",
    "val_file": "Validation rows as given by the data.",
    "test_file": "Test rows as given by the data; they stay the test split.",
    "layout": "How rows are written: csv, tsv, jsonl, parquet, or label_text: a label, a space, a text.",
    "encoding": "How the bytes of the files are letters.",
    "quotes": "Whether quotation marks enclose cells.",
    "header": "Whether the first line names the columns.",
    "columns": "The columns in order.",
    "missing": "Cell texts that mean 'no value'.",
    "image_column": "Column with the paths of the images.",
    "side": "Pixels of each side: the short side is scaled to it and the middle cut out; null: all have one size.",
    "text": "Columns with the text.",
    "max_words": "Longer texts are cut after this many words.",
    "series_layout": "long: a line per moment; wide: a line per series.",
    "series_id": "Column with the name of the series.",
    "time": "Column that orders rows or steps: the last ones are for testing; within a labelled series: its steps.",
    "target": "Column to predict, or several.",
    "task": "binary, multiclass, multilabel or regression; without it the target decides.",
    "label_separator": "Parts the labels of a row that has several.",
    "strip_label": "Cut off the end of labels.",
    "channels": "Columns that a forecast looks back on beside the target.",
    "horizon": "Steps to forecast.",
    "season": "Steps of the usual period, for the seasonal baseline.",
    "gaps": "Missing moments: error refuses them, fill counts them as missing values.",
    "group_by": "Column of persons, patients, …: no group on two sides of a split.",
    "weight": "Column of how much a row counts in training, never an input; scores count rows alike.",
    "duplicates": "Test rows that also stand among the others: error refuses, keep declares, drop leaves them out of "
    "training.",
    "exclude": "Columns that are never inputs.",
    "val_fraction": "Share of the training rows that the search scores candidates on.",
    "sensitive": "Features of people the audit compares; their columns are not inputs.",
    "slices": "Properties of the data the audit compares as well.",
}


def name_for(path: Path, said: str | None) -> str:
    """Return a name for the data set that can name a file."""
    stem = said or (path.resolve().name if path.is_dir() else path.name.partition(".")[0])
    name = re.sub(r"\W+", "_", stem).strip("_").lower()
    if not name:
        raise ConfigError(f"init: no name can be made of {stem!r}", fix="say name=<name>")
    return name


def conf_text(name: str, found: "Found") -> str:
    """Return the file of the group `data`, every key with its comment."""
    lines = ["# Every key that may stand here, with its default: conf/base/data.yaml.", "defaults:"]
    lines += ["  - /base/data@_here_", f"  - override /space@_global_.space: {found.space}", ""]
    measured = {"image": "mean_intensity", "text": "length"}.get(found.space)
    slices = {measured: {"property": measured, "quantiles": 3}} if measured else {}
    given = {"name": name, "format": found.format, "sensitive": {}, **found.keys, "slices": slices}
    for key in (key for key in _COMMENTS if key in given):
        comment = f"{_COMMENTS[key]}: {_FORMATS[found.format]}" if key == "format" else _COMMENTS[key]
        why = " ".join(found.why.get(key, "").split())
        lines += [f"# {comment}" + (f" Here: {why}." if why else ""), f"{key}: {as_yaml(given[key])}"]
    return "\n".join(lines) + "\n"


def as_yaml(value: object) -> str:
    """Return a value on one line as Hydra reads it; names that it would take for something else are quoted."""
    import yaml
    from omegaconf import OmegaConf

    shown = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=math.inf)
    shown = shown.removesuffix("...\n").strip()
    if (
        "${" not in shown
        and "\n" not in shown
        and OmegaConf.to_container(OmegaConf.create(f"v: {shown}")) == {"v": value}
    ):
        return shown
    return json.dumps(_escaped(value), ensure_ascii=False)


def _escaped(value: Any) -> Any:
    """Return a value in which Hydra finds no ${…} to fill in."""
    if isinstance(value, Mapping):
        return {key: _escaped(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(held) for held in value]
    if isinstance(value, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + r"\${", value)
    return value


def budget(config: Mapping[str, Any]) -> str:
    """Return what the search and the training of the winner may take, as conf/ says."""
    search, train = config["search"], config["train"]
    limit = f"{search['seconds']:g} s" if search["seconds"] else f"{search['n_trials']} trials"
    key = "search.seconds" if search["seconds"] else "search.n_trials"
    winner = f"{train['seconds']:g} s" if train["seconds"] else f"{train['epochs'] or 'the usual'} epochs"
    other = "train.seconds" if train["seconds"] else "train.epochs"
    return f"the standard search is at most {limit} of training ({key}) and {winner} for the final trainings ({other})"


def run(arguments: Sequence[str]) -> None:
    """Write the file and tell what to do next."""
    from pipeline.sniffing import sniff
    from pipeline.sniffing.costs import cost_line
    from pipeline.sniffing.found import read_wishes

    require_conf()
    if not arguments or "=" in arguments[0]:
        raise ConfigError("init: no path given", fix="python -m pipeline.init <file, folder or archive>")
    path, wishes = Path(arguments[0]), read_wishes(arguments[1:])
    name = name_for(path, wishes.name)
    target = CONF / "data" / f"{name}.yaml"
    if target.exists():
        raise ConfigError(f"{target}: is there already", fix="say name=<another>, or remove the file first")
    config = compose([])
    found = sniff(path, wishes, int(config["seed"]))
    write_bytes(target, conf_text(name, found).encode())
    log.info("%s: %s", name, found.lines[0])
    for line in found.lines[1:]:
        log.info(line)
    log.info("%s; %s", budget(config), cost_line(found))
    log.info("written: %s", target)
    log.info("next: python -m pipeline.prepare data=%s    checks and splits", name)
    log.info("then: dvc exp run -S data=%s    searches, trains, audits", name)


def main(arguments: Sequence[str]) -> int:
    """Run and return the exit code."""
    prepare_terminal("init")
    if not arguments or set(arguments) & {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        run(arguments)
    except PipelineError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

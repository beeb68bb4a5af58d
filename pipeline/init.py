"""Look at your data, write conf/data/<name>.yaml, say what was understood.

    python -m pipeline.init PATH [name=<name>] [target=<column>] [text=<column>] [sensitive=[<column>,…]]

PATH is a CSV, TSV, JSONL, Parquet or .ts file, a folder of them with train and test in their names, or a folder or
archive of images or texts by class. Nothing is asked and nothing is run; the file written is yours to edit.
"""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.store import write_bytes
from pipeline.core.strict import nearest
from pipeline.stage import CONF, prepare_terminal, require_conf

if TYPE_CHECKING:
    from pipeline.datasets.sniff import Found

log = logging.getLogger("pipeline.init")

_WISHES = ("name", "target", "text", "sensitive")
_COMMENTS = {
    "name": "Name in the report and in studies.",
    "format": "How the raw files are read.",
    "quotes": "Whether quotation marks enclose cells.",
    "slices": "Properties of the data the audit compares as well.",
    "path": "Where the raw files lie.",
    "train_file": "Training rows; the name is tried with .gz too.",
    "val_file": "Validation rows as given by the data.",
    "test_file": "Test rows as given by the data; they stay the test split.",
    "header": "Whether the first line names the columns.",
    "columns": "The columns in order.",
    "side": "Pixels of each side: the short side is scaled to it and the middle cut out; null: all have one size.",
    "text": "Columns with the text.",
    "max_words": "Longer texts are cut after this many words.",
    "target": "Column to predict.",
    "exclude": "Columns that are never inputs.",
    "val_fraction": "Share of the training rows that the search scores candidates on.",
    "sensitive": "Features of people the audit compares; their columns are not inputs.",
}


def wishes(arguments: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """Return the path and what the user said of the data."""
    if not arguments or "=" in arguments[0]:
        raise ConfigError("init: no path given", fix="python -m pipeline.init <file, folder or archive>")
    found: dict[str, Any] = {}
    for argument in arguments[1:]:
        key, equals, value = argument.partition("=")
        if not equals or key not in _WISHES:
            near = nearest(key, _WISHES)
            fix = f"did you mean '{near}='?" if near else f"known: {', '.join(_WISHES)}"
            raise ConfigError(f"init: {argument!r} is not understood", fix=fix)
        many = [v.strip() for v in value.strip("[]").split(",") if v.strip()]
        found[key] = many if key in ("text", "sensitive") else value
    return Path(arguments[0]), found


def name_for(path: Path, said: Mapping[str, Any]) -> str:
    """Return a name for the data set that can name a file."""
    stem = said.get("name") or (path.name if path.is_dir() else path.name.partition(".")[0])
    name = re.sub(r"\W+", "_", str(stem)).strip("_").lower()
    if not name:
        raise ConfigError(f"init: no name can be made of {stem!r}", fix="say name=<name>")
    return name


def conf_text(name: str, found: "Found") -> str:
    """Return the file of the group `data`, every key with its comment."""
    import yaml

    lines = ["defaults:", f"  - override /space@_global_.space: {found.space}", ""]
    measured = {"image": "mean_intensity", "text": "length"}.get(found.space)
    slices = {measured: {"property": measured, "quantiles": 3}} if measured else {}
    values: dict[str, Any] = {"name": name, "format": found.format, "sensitive": {}, **found.keys, "slices": slices}
    for key, value in values.items():
        shown = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1000)
        lines += [f"# {_COMMENTS[key]}", f"{key}: {shown.removesuffix('...' + chr(10)).strip()}"]
    return "\n".join(lines) + "\n"


def run(arguments: Sequence[str]) -> None:
    """Write the file and tell what to do next."""
    from pipeline.datasets.sniff import sniff

    require_conf()
    path, said = wishes(arguments)
    name = name_for(path, said)
    target = CONF / "data" / f"{name}.yaml"
    if target.exists():
        raise ConfigError(f"{target}: is there already", fix="say name=<another>, or remove the file first")
    found = sniff(path, said)
    write_bytes(target, conf_text(name, found).encode())
    log.info("%s: %s data", name, {"csv": "table"}.get(found.format, found.format))
    for fact in found.facts:
        log.info(fact)
    log.info("written: %s", target)
    log.info("next: python -m pipeline.prepare data=%s    checks and splits", name)
    log.info("then: dvc exp run -S data=%s    at most search.seconds of search and train.seconds of training", name)


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

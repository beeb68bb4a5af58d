"""Look at a search space before anything is trained: size, dead ends, costs, seconds per trial. Takes seconds.

    python -m pipeline.space FILE [data=NAME] [format=json] [draws=200] [space.<path>=<value> …]

FILE is a YAML file, or the name of one in search_spaces/.

What you may say:
    data=<name>          look at it on this data set, which must be prepared; else on inputs that stand for the kind of
                         data the file is named after (image, text, series, forecast, table), or for all kinds that its
                         families read
    format=json          for programs; else text
    draws=<number>       random candidates to draw
    space.<path>=<value> change the space first, as on the command line of the search
"""

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.core.errors import ConfigError, PipelineError, SpaceError
from pipeline.core.strict import nearest, plain

if TYPE_CHECKING:
    from pipeline.linting import Subject

_FOLDER = Path("search_spaces")
_WISHES = {"data": "", "format": "text", "draws": "200"}


def read_arguments(arguments: Sequence[str]) -> tuple[str, dict[str, str], list[str]]:
    """Return FILE, the wishes by name, and the overrides of the space."""
    if not arguments or "=" in arguments[0]:
        raise ConfigError("space: no file given", fix="python -m pipeline.space <file, or name in search_spaces/>")
    wishes, overrides = dict(_WISHES), []
    for argument in arguments[1:]:
        key, equals, value = argument.partition("=")
        if key.lstrip("+~").startswith("space."):
            overrides.append(argument)
        elif equals and key in wishes:
            wishes[key] = value
        else:
            near = nearest(key, list(wishes))
            fix = f"did you mean '{near}'?" if near else f"known keys: {', '.join(wishes)}, space.<path>"
            raise ConfigError(f"space: unknown argument {argument!r}", fix=fix)
    if wishes["format"] not in ("text", "json"):
        raise ConfigError(f"space: format={wishes['format']}: not a format", fix="one of: text, json")
    if not wishes["draws"].isdecimal() or int(wishes["draws"]) < 1:
        raise ConfigError(
            f"space: draws={wishes['draws']}: not a whole number of at least 1", fix="for example draws=200"
        )
    return arguments[0], wishes, overrides


def read_tree(file: str, overrides: Sequence[str]) -> Any:
    """Return the tree of a file, by path or by name, with overrides as Hydra reads them."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    from pipeline.core.fragments import with_fragments
    from pipeline.stage import fragment

    path = Path(file) if Path(file).suffix in (".yaml", ".yml") else _FOLDER / f"{file}.yaml"
    if not path.is_file():
        known = sorted(found.stem for found in _FOLDER.glob("*.yaml"))
        near = nearest(file, known)
        fix = f"did you mean '{near}'?" if near else f"a path to a YAML file, or one of: {', '.join(known)}"
        raise ConfigError(f"space: {path}: no such file", fix=fix)
    try:
        written = OmegaConf.to_container(OmegaConf.load(path))
        if not isinstance(written, dict):
            raise SpaceError(f"{path}: not a mapping", fix="architecture: {cnn: {…}}")
        tree = OmegaConf.create({"space": with_fragments(written, fragment)})
        for override in overrides:
            _apply(tree, override)
        return OmegaConf.to_container(tree, resolve=True)["space"]  # type: ignore[index, call-overload]
    except YAMLError as wrong:
        raise SpaceError(f"{path}: not valid YAML: {' '.join(str(wrong).split())}") from None
    except OmegaConfBaseException as wrong:
        raise SpaceError(f"{path}: {str(wrong).splitlines()[0]}") from None


def _apply(tree: Any, override: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf

    try:
        parsed = OverridesParser.create().parse_override(override)
    except HydraException as wrong:
        raise ConfigError(f"space: {override}: {str(wrong).splitlines()[0]}") from None
    key = parsed.key_or_group
    there = OmegaConf.select(tree, key, default=...) is not ...
    if not there and not parsed.is_add():
        raise ConfigError(f"space: nothing is called {key}", fix=f"+{override.lstrip('~')} adds it")
    if parsed.is_delete():
        above, _, last = key.rpartition(".")
        del OmegaConf.select(tree, above)[last]
    else:
        OmegaConf.update(tree, key, parsed.value(), merge=False)


def prepared(name: str) -> "Subject":
    """Return the data set that prepare left, if it is the one asked for."""
    from pipeline.core.contracts import DatasetCard
    from pipeline.core.store import FIT, read_record
    from pipeline.linting import subject_of

    path = FIT / "dataset.json"
    card = read_record(DatasetCard, path) if path.exists() else None
    if card is None or card.name != name:
        there = f"{path} is of '{card.name}'" if card else f"{path} is not there"
        raise ConfigError(f"space: data={name}: {there}", fix=f"python -m pipeline.prepare data={name}")
    return subject_of(card)


def run(arguments: Sequence[str]) -> None:
    """Read, look, tell."""
    from pipeline.core.settings import SearchSettings, TrainerSettings
    from pipeline.core.strict import read
    from pipeline.linting import Limits, lines, lint, subjects_for
    from pipeline.space import parse
    from pipeline.stage import compose

    file, wishes, overrides = read_arguments(arguments)
    space = parse(read_tree(file, overrides))
    config = compose([])
    limits = Limits(
        draws=int(wishes["draws"]),
        seed=int(config["seed"]),
        search=read(SearchSettings, config["search"], "conf.search"),
        trainer=read(TrainerSettings, config["trainer"], "conf.trainer"),
    )
    subjects = (prepared(wishes["data"]),) if wishes["data"] else subjects_for(space, Path(file).stem)
    linted = lint(space, Path(file).stem, subjects, limits)
    text = (
        json.dumps(plain(linted), indent=1, allow_nan=False) if wishes["format"] == "json" else "\n".join(lines(linted))
    )
    sys.stdout.write(f"{text}\n")


def main(arguments: Sequence[str]) -> int:
    """Run and return the exit code."""
    from pipeline.stage import prepare_terminal

    prepare_terminal("space")
    logging.getLogger("pipeline").setLevel(logging.WARNING)  # standard output may be JSON
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

"""The border to Hydra and to the terminal: compose, hand a stage its slice, show a user's mistake in two lines.

By hand (`python -m pipeline.search search.n_trials=5`) a stage composes conf/. DVC runs it with `--params`: then the
recorded composition params.yaml is read instead, so that what DVC hashed is what the stage sees. Either way a stage
receives only the top-level keys that STAGE_KEYS grants it.
"""

import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.core.errors import ConfigError, PipelineError, SpaceError
from pipeline.core.fragments import with_fragments
from pipeline.core.process import die_with_parent, settle
from pipeline.core.provenance import record_provenance
from pipeline.core.settings import STAGE_KEYS
from pipeline.core.store import FOLDERS
from pipeline.core.strict import nearest, read

S = TypeVar("S")
log = logging.getLogger(__name__)

CONF = Path("conf")
PARAMS = Path("params.yaml")
# No outputs/ tree and no .hydra/: DVC keeps the record.
_HYDRA = ["hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=stdout"]


def run_stage(name: str, kind: type[S], run: Callable[[S], None]) -> None:
    """Compose, read the stage's slice as `kind`, run; the process exits with the field's codes.

    0 done · 1 our mistake (traceback) · 2 the user's mistake (two lines) · 130 interrupted.
    What stands behind its artifacts is written down beside them.
    """
    arguments = sys.argv[1:]

    def on_config(config: Mapping[str, Any]) -> None:
        run(slice_for(name, kind, config))
        if name in FOLDERS:
            record_provenance(name, granted(name, config), arguments)

    sys.exit(launch(name, arguments, on_config))


def launch(name: str, arguments: Sequence[str], act: Callable[[Mapping[str, Any]], None]) -> int:
    """Run `act` on the composed configuration and return the exit code."""
    die_with_parent()
    settle()
    prepare_terminal(name)
    arguments = list(arguments)
    debug = "--debug" in arguments
    if debug:
        arguments.remove("--debug")
    try:
        if "--help" in arguments or "-h" in arguments:
            sys.stdout.write(help_text(name))
        elif any(a.startswith("-") and not a.startswith("--params") for a in arguments):
            _hydra_app(arguments, act)
        else:
            act(configuration(arguments))
    except PipelineError as mistake:
        if debug:
            raise
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    except KeyboardInterrupt:
        best = "; with search.seconds=1 it hands on the best so far" if name == "search" else ""
        sys.stderr.write(f"interrupted; the same command continues where this one stopped{best}\n")
        return 130
    return 0


def help_text(name: str) -> str:
    """Return what a stage does and the commented keys it reads; Hydra's own help takes three times as long."""
    require_conf()
    about = (sys.modules["__main__"].__doc__ or "").strip()
    groups = [f for f in sorted(CONF.iterdir()) if f.is_dir()]
    picks = [f"  {g.name}={'|'.join(sorted(f.stem for f in g.glob('*.yaml')))}" for g in groups]
    config = (CONF / "config.yaml").read_text(encoding="utf-8")
    chosen = dict(re.findall(r"^  - (\w+): (\w+)", config, re.M))
    parts = []
    for key in STAGE_KEYS.get(name, ("seed",)):
        if key == "space":
            parts.append(f"# The space: search_spaces/{chosen[key]}.yaml, unless the data set brings another.\n")
        elif key in chosen:
            text = (CONF / key / f"{chosen[key]}.yaml").read_text(encoding="utf-8")
            body = re.sub(r"^defaults:\n(  - .*\n)+\n*", "", text)
            parts.append(f"{key}: # conf/{key}/{chosen[key]}.yaml\n" + re.sub(r"^(?=.)", "  ", body, flags=re.M))
        elif found := re.search(rf"(?:^#.*\n)*^{key}:.*\n(?:^ .*\n)*", config, re.M):
            parts.append(found.group())
    usage = (
        f"python -m pipeline.{name} [group=option] [key=value] [--cfg job | --info defaults | --hydra-help] [--debug]"
    )
    keys = "\n".join(parts)
    return f"{about}\n\n{usage}\n\nGroups:\n" + "\n".join(picks) + f"\n\nKeys this stage reads:\n\n{keys}"


def require_conf() -> None:
    """Refuse to work outside a project."""
    if not (CONF / "config.yaml").exists():
        raise ConfigError(f"{CONF / 'config.yaml'}: not found", fix="run from the project's top folder")


def configuration(arguments: Sequence[str]) -> Mapping[str, Any]:
    """Return the whole composition as plain dicts: recorded (`--params`) or fresh from conf/ with overrides."""
    if "--params" not in arguments:
        return compose(arguments)
    if extra := [a for a in arguments if a != "--params"]:
        raise ConfigError(f"--params takes no overrides, got {' '.join(extra)}", fix="leave out --params")
    return recorded()


def recorded() -> Mapping[str, Any]:
    """Return params.yaml, the record of the active composition."""
    import yaml

    if not PARAMS.exists():
        raise ConfigError(f"{PARAMS}: not found", fix="run `python -m pipeline.configure`")
    config = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    if not isinstance(config, dict):
        raise ConfigError(f"{PARAMS}: not a mapping", fix="run `python -m pipeline.configure`")
    return config


def compose(overrides: Sequence[str]) -> Mapping[str, Any]:
    """Compose conf/ with Hydra overrides and put fragments into the space; every mistake becomes a ConfigError."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        config = OmegaConf.to_container(_composed(overrides), resolve=True)
    except OmegaConfBaseException as wrong:
        raise ConfigError(f"conf: {str(wrong).splitlines()[0]}") from None
    assert isinstance(config, dict)
    return {str(k): v for k, v in config.items()}


def whole(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the composition with every `include` of the space replaced by its fragment."""
    return {str(k): with_fragments(v, fragment, "space") if k == "space" else v for k, v in config.items()}


def fragment(name: str, where: str) -> object:
    """Read search_spaces/fragments/<name>.yaml for an `include` that stands at `where`."""
    import yaml

    path = CONF / "space" / "fragments" / f"{name}.yaml"
    if not path.exists():
        known = sorted(p.stem for p in path.parent.glob("*.yaml"))
        near = nearest(name, known)
        fix = f"did you mean '{near}'?" if near else f"one of: {', '.join(known)}"
        raise SpaceError(f"{where}: there is no fragment '{name}' in search_spaces/fragments", fix=fix)
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as wrong:
        reason = " ".join(str(wrong).split())
        raise SpaceError(f"search_spaces/fragments/{name}.yaml: not valid YAML: {reason}") from None


def _composed(overrides: Sequence[str]) -> Any:
    import hydra
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException
    from omegaconf import OmegaConf, open_dict
    from yaml import YAMLError

    require_conf()
    GlobalHydra.instance().clear()
    # Settings of the space may come from a fragment: they are overridden, by Hydra's own rules, once it is in place.
    late = [o for o in overrides if re.match(r"[+~]*space\.", o)]
    try:
        with hydra.initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
            config = hydra.compose("config", overrides=[o for o in overrides if o not in late])
        space = with_fragments(OmegaConf.to_container(config.space), fragment)
        with open_dict(config):
            config.space = space
        ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(late), config)
        return config
    except HydraException as wrong:
        raise explain(overrides, wrong) from None
    except YAMLError as wrong:
        raise ConfigError(f"conf: not valid YAML: {' '.join(str(wrong).split())}") from None


def explain(overrides: Sequence[str], wrong: Exception) -> ConfigError:
    """Say which override is wrong and what was probably meant."""
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if "=" not in override:
            return ConfigError(f"command line: {override!r} is not key=value", fix="for example search.n_trials=5")
        if (CONF / key).is_dir():
            options = sorted(p.stem for p in (CONF / key).glob("*.yaml"))
            if value not in options:
                near = nearest(value, options)
                fix = f"did you mean '{near}'?" if near else f"one of: {', '.join(options)}"
                return ConfigError(f"command line: {key} has no option '{value}'", fix=fix)
        elif overrides and (unknown := _unknown(key, overrides)):
            return unknown
    return ConfigError(f"conf: {' '.join(str(wrong).split())}")


def _unknown(key: str, overrides: Sequence[str]) -> ConfigError | None:
    node: Any = compose([o for o in overrides if (CONF / o.partition("=")[0]).is_dir()])
    walked = "conf"
    for part in key.split("."):
        if isinstance(node, Mapping) and part not in node:
            known = [str(k) for k in node]
            near = nearest(part, known)
            fix = f"did you mean '{near}'?" if near else f"known keys: {', '.join(known)}"
            return ConfigError(f"{walked}: unknown key '{part}'", fix=fix)
        node = node[part] if isinstance(node, Mapping) else None
        walked = f"{walked}.{part}"
    return None


def slice_for(name: str, kind: type[S], config: Mapping[str, Any]) -> S:
    """Return the part of the configuration that stage `name` may see, read strictly."""
    return read(kind, granted(name, config), "conf")


def granted(name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of the configuration that stage `name` may see, as it was composed."""
    return {key: config[key] for key in STAGE_KEYS[name] if key in config}


def _hydra_app(arguments: list[str], act: Callable[[Mapping[str, Any]], None]) -> None:
    import hydra
    from omegaconf import DictConfig, OmegaConf

    def on_config(config: DictConfig) -> None:
        plain = OmegaConf.to_container(config, resolve=True)
        assert isinstance(plain, dict)
        act(whole({str(k): v for k, v in plain.items()}))

    # Hydra's parser wants all overrides side by side: ours go just before the first of the user's.
    at = next((i for i, a in enumerate(arguments) if not a.startswith("-") and "=" in a), len(arguments))
    sys.argv[1:] = [*arguments[:at], *_HYDRA, *arguments[at:]]
    hydra.main(version_base="1.3", config_path=str(CONF.resolve()), config_name="config")(on_config)()


def prepare_terminal(name: str) -> None:
    """Log to standard output, one line per event, the stage's name in front; libraries stay silent."""
    logging.basicConfig(level=logging.WARNING, format=f"{name:>9} │ %(message)s", stream=sys.stdout, force=True)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module=r"(pytorch_lightning|lightning_fabric|torch|captum|optuna)\b.*")


def state_folder() -> Path:
    """Return the git-ignored folder for studies and checkpoints; shared by experiments in temporary folders."""
    folder = Path(os.environ.get("DVC_ROOT", ".")) / "state"
    folder.mkdir(parents=True, exist_ok=True)
    return folder

"""Every file users may pick composes and is read strictly, and every key says what it does."""

from pathlib import Path

import pytest
import yaml

from pipeline.configure import changes, check, flat
from pipeline.core.errors import ConfigError
from pipeline.space import parse
from pipeline.stage import compose

FILES = sorted(Path("conf").rglob("*.yaml"))
OPTIONS = [f"{f.parent.name}={f.stem}" for f in FILES if f.parent.name != "conf"]
OPTIONS += [f"space={f.stem}" for f in sorted(Path("search_spaces").glob("*.yaml"))]


@pytest.mark.parametrize("option", sorted(set(OPTIONS)))
def test_every_option_composes_and_is_read_strictly(option: str) -> None:
    config = compose([option])
    check(config)
    parse(config["space"])


@pytest.mark.parametrize("file", FILES, ids=str)
def test_every_key_has_a_comment_above_or_beside_it(file: Path) -> None:
    bare, above = [], ""
    for line in file.read_text().splitlines():
        text = line.strip()
        is_key = ":" in text and not text.startswith(("#", "-", "defaults:"))
        opens_group = file.name == "config.yaml" and line == text and text.endswith(":")
        if is_key and not opens_group and not above.startswith("#") and "#" not in text:
            bare.append(text)
        above = text
    assert bare == []


def test_the_recorded_composition_is_current() -> None:
    assert yaml.safe_load(Path("params.yaml").read_text()) == compose([])


def test_a_key_no_stage_reads_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        check({**compose([]), "trian": {}})
    assert str(caught.value) == "conf: unknown key 'trian'\n  fix: did you mean 'train'?"


def test_changes_are_told_by_their_path() -> None:
    old, new = {"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": []}
    assert flat(old) == {"a.b": 1, "a.c": 2}
    assert changes(old, new) == ["a.c: 2 -> 3", "d: '(absent)' -> []"]

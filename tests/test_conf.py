"""Every file users may pick composes and is read strictly, and every key says what it does."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from pipeline.configure import changes, check, flat
from pipeline.core.data_settings import DataSettings
from pipeline.core.errors import ConfigError
from pipeline.core.strict import read
from pipeline.space import parse
from pipeline.stage import compose

FILES = sorted(Path("conf").rglob("*.yaml"))
OPTIONS = [f"{f.parent.name}={f.stem}" for f in FILES if f.parent.name not in ("conf", "base")]
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


def test_the_base_of_data_sets_holds_every_key_with_its_default() -> None:
    base = yaml.safe_load(Path("conf/base/data.yaml").read_text())
    needed = {"name", "format"}
    whole = read(DataSettings, {"name": "t", "format": "csv"} | base, "conf.data")
    assert set(base) == {f.name for f in dataclasses.fields(DataSettings)} - needed
    assert whole == DataSettings(name="t", format="csv", sensitive={}, slices={})


def test_any_key_may_be_set_on_the_command_line() -> None:
    config = compose(["data=adult", "data.duplicates=keep", "data.target=[sex,race]"])
    assert (config["data"]["duplicates"], config["data"]["target"]) == ("keep", ["sex", "race"])
    with pytest.raises(ConfigError) as caught:
        compose(["data=adult", "data.duplicate=keep"])
    assert str(caught.value) == "conf.data: unknown key 'duplicate'\n  fix: did you mean 'duplicates'?"


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

"""Digests are those of the tools they are compared with; settings are hidden where they hold a password."""

from pathlib import Path

import yaml

from pipeline.core.provenance import declared, provenance_of, recorded_by, standing_behind, without_passwords
from pipeline.core.store import FOLDERS, code_digest
from pipeline.tracing.comparing import ABSENT
from pipeline.tracing.digests import md5_of
from tests.conftest import Shell


def test_files_and_folders_have_the_digest_that_dvc_gives_them(tmp_path: Path, shell: Shell) -> None:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    for name, text in {"b.txt": "two\r\n", "a é.txt": "one", "below/c": "", "below-d": "x"}.items():
        (folder / name).write_bytes(text.encode())
    (tmp_path / "single").write_bytes(b"\x00\r\n")
    shell(tmp_path, "dvc init -q --no-scm && dvc add -q folder single")
    for name in ("folder", "single"):
        noted = yaml.safe_load((tmp_path / f"{name}.dvc").read_text())["outs"][0]["md5"]
        assert md5_of(tmp_path / name) == noted
    assert md5_of(tmp_path / "nothing") == ABSENT


def test_passwords_are_hidden_wherever_they_stand() -> None:
    settings = {"search": {"storage": "postgresql+psycopg://me:se:cret@host/db", "members": ["http://a:b@c/"]}, "n": 3}
    hidden = {"search": {"storage": "postgresql+psycopg://me:***@host/db", "members": ["http://a:***@c/"]}, "n": 3}
    assert without_passwords(settings) == hidden
    made = provenance_of("search", settings, ["search.storage=mysql://me:secret@host/db", "--debug"])
    assert made.command == "python -m pipeline.search 'search.storage=mysql://me:***@host/db'"
    assert made.params == hidden


def test_a_stage_s_code_and_inputs_are_what_dvc_yaml_lists() -> None:
    about = declared("evaluate")
    assert about.inputs == ("prepare", "search", "train")
    assert {"evaluate.py", "evaluation", "core"} <= set(about.code)
    assert declared("prepare").inputs == ()
    assert set(declared("report").inputs) == set(FOLDERS)
    assert len({code_digest("evaluate.py"), code_digest("interpret.py"), code_digest("core"), code_digest()}) == 4


def test_a_record_counts_as_long_as_the_files_are_the_recorded_ones(run: Path) -> None:
    assert standing_behind("evaluate") == recorded_by("evaluate")
    assert standing_behind("evaluate").inputs["train"] == standing_behind("train").digests
    assert set(standing_behind("prepare").digests) == {"artifacts/prepare/fit", "artifacts/prepare/test"}
    (run / "artifacts/evaluate/more").write_text("")
    changed = standing_behind("evaluate")
    assert not changed.recorded
    assert (changed.params, changed.command) == ({}, "python -m pipeline.evaluate --params")
    (run / "artifacts/provenance/train.json").unlink()
    assert not standing_behind("train").recorded

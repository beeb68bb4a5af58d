"""Artifacts appear whole or not at all."""

from pathlib import Path

import pytest

from pipeline.core.contracts import Number
from pipeline.core.errors import ArtifactError
from pipeline.core.store import digest_of, fresh_folder, read_record, sha256_folder, write_json


def test_a_failed_stage_leaves_the_old_folder_untouched(tmp_path: Path) -> None:
    target = tmp_path / "artifacts" / "train"
    with fresh_folder(target) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(UnicodeEncodeError), fresh_folder(target) as folder:
        (folder / "a").write_text("new \ud800", encoding="utf-8")
    assert (target / "a").read_text() == "old"
    assert [p.name for p in target.parent.iterdir()] == ["train"]


def test_a_fresh_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    for name in ("first", "second"):
        with fresh_folder(tmp_path / "out") as folder:
            (folder / name).write_text(name)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["second"]


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "n.json", {"value": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_records_round_trip(tmp_path: Path) -> None:
    number = Number(value=0.5, ci_low=0.4, ci_high=0.6, n=10)
    write_json(tmp_path / "n.json", number)
    assert read_record(Number, tmp_path / "n.json") == number


def test_a_missing_or_damaged_artifact_names_the_stage_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("artifacts/train/card.json")
    with pytest.raises(ArtifactError) as caught:
        read_record(Number, path)
    assert str(caught.value) == "artifacts/train/card.json: not found\n  fix: run `dvc repro train`"
    path.parent.mkdir(parents=True)
    path.write_text('{"value": 1')
    with pytest.raises(ArtifactError, match="damaged"):
        read_record(Number, path)


def test_digests_do_not_depend_on_key_order_but_on_content(tmp_path: Path) -> None:
    assert digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1}) != digest_of({"a": 1, "b": 3})
    (tmp_path / "x").write_text("1")
    before = sha256_folder(tmp_path)
    (tmp_path / "x").write_text("2")
    assert sha256_folder(tmp_path) != before

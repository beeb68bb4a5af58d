"""Seconds and memory of a command: all its processes count, the starter does not."""

import json
import sys
from pathlib import Path

import pytest
import throughput
from measure import measured, tree
from PIL import Image

HOLD = "import time; block = b'1' * 80_000_000; time.sleep(1)"
TWO = f"""
import subprocess, sys
for held in [subprocess.Popen([sys.executable, "-c", {HOLD!r}]) for _ in range(2)]:
    held.wait()
print("over")
sys.exit(3)
"""


def test_memory_of_one_and_of_all(tmp_path: Path) -> None:
    found = measured([sys.executable, "-c", TWO], tmp_path)
    assert (found.code, found.output) == (3, "over\n")
    assert 80 < found.largest_mb < 130
    assert found.seconds > 1
    if sys.platform == "linux":
        assert found.tree_mb is not None
        assert 160 < found.tree_mb < 300


def test_the_memory_of_the_starter_is_not_counted(tmp_path: Path) -> None:
    block = b"1" * 300_000_000
    assert measured([sys.executable, "-c", "pass"], tmp_path).largest_mb < len(block) / 2e6


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="broke off"):
        measured([str(tmp_path / "none")], tmp_path)


def test_a_tree_starts_at_its_root() -> None:
    assert tree(-1) == [-1]


def test_made_files_are_kept_and_others_respected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = {"files": 30, "pixels": 64, "quality": 85}
    throughput.make(tmp_path / "jpg", asked)
    files = sorted((tmp_path / "jpg").rglob("*.jpg"))
    assert len(files) == 30
    assert len({file.read_bytes() for file in files}) == 30
    with Image.open(files[0]) as image:
        assert (image.format, image.size) == ("JPEG", (64, 64))
    files[0].write_bytes(b"kept")
    throughput.make(tmp_path / "jpg", asked)
    assert files[0].read_bytes() == b"kept"
    with pytest.raises(SystemExit):
        throughput.make(tmp_path / "jpg", asked | {"files": 31})
    assert "holds something else" in capsys.readouterr().err


@pytest.mark.slow
def test_throughput(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    throughput.main([str(tmp_path / "jpg"), "files=200", "pixels=64", "sample=50", f"out={out}"])
    (record,) = json.loads(out.read_text()).values()
    assert sum(record["rows"].values()) == 200
    before, after = record["loop_images_per_second"]
    assert record["ratio"] == pytest.approx(2 * record["prepare_images_per_second"] / (before + after), abs=0.02)
    assert "| 200 |" in out.with_suffix(".md").read_text()

"""The default candidate alone: handed on, trained once per seed, scored, merged into the page."""

import json
from pathlib import Path

import defaults
import pytest
import torch
import views

WIDTH = "++space.architecture.cnn.width={choice:[4,6],default:4,passes:0.01}"
SETS = {
    "digits": {"path": None, "settings": f"data=digits space=tiny {WIDTH}", "seconds": 2, "aim": 0.3, "script": "none"},
    "gone": {"path": "nowhere.csv", "settings": "data=adult", "seconds": 2, "aim": 0.3, "script": "none"},
}


@pytest.mark.slow
def test_each_seed_is_scored_and_known_results_are_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "defaults.json"
    assert defaults.main([str(tmp_path), "seeds=2", f"out={out}"], SETS) == 0
    record = json.loads(out.read_text())["digits"]
    assert [run["seed"] for run in record["runs"]] == [0, 1]
    assert record["mean"] == pytest.approx(sum(run["score"] for run in record["runs"]) / 2)
    architecture = record["candidate"]["architecture"]
    assert (architecture["kind"], architecture["width"]) == ("cnn", 6)
    # Five views, because digits are not mirrored.
    assert [run["views"]["count"] for run in record["runs"]] == [5, 5]
    for run in record["runs"]:
        views = run["views"]
        assert views["gain"]["value"] == pytest.approx(views["score"]["value"] - run["score"])
    page = out.with_suffix(".md").read_text()
    assert "| digits | cnn |" in page
    assert "| gone | not there |" in page
    capsys.readouterr()
    assert defaults.main([str(tmp_path), "seeds=2", f"out={out}"], SETS) == 0
    assert "digits: there already" in capsys.readouterr().out


def test_an_unknown_set_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        defaults.main([str(tmp_path), "only=digit"], SETS)
    assert "only: no set digit" in capsys.readouterr().err


def test_views_are_moved_by_one_pixel_with_edges_repeated() -> None:
    image = torch.arange(6, dtype=torch.uint8).reshape(1, 1, 2, 3)
    found = [view[0, 0].tolist() for view in views.views_of(image, mirror=False)]
    still, down, up = [[0, 1, 2], [3, 4, 5]], [[0, 1, 2]] * 2, [[3, 4, 5]] * 2
    right, left = [[0, 0, 1], [3, 3, 4]], [[1, 2, 2], [4, 5, 5]]
    assert found == [still, down, up, right, left]


def test_each_view_is_mirrored_where_training_mirrored() -> None:
    image = torch.randint(256, (2, 3, 4, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    plain, both = list(views.views_of(image, mirror=False)), list(views.views_of(image, mirror=True))
    assert len(both) == 10
    assert all(torch.equal(view, both[2 * i]) for i, view in enumerate(plain))
    assert all(torch.equal(view.flip(-1), both[2 * i + 1]) for i, view in enumerate(plain))


def test_records_of_before_the_views_keep_their_place_in_the_page() -> None:
    runs = [
        {"views": {"count": 5, "score": {"value": 0.9}, "gain": {"value": 0.01, "ci_low": -0.002, "ci_high": 0.02}}}
    ]
    assert defaults.views_cells(runs) == ["5", "0.9000", "+0.0100 [-0.0020, +0.0200]"]
    assert defaults.views_cells([{}]) == ["", "", ""]

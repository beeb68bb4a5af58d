"""A table beside the data and the folders of files: groups of the audit, never inputs."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.contracts import ImageInputs, TableInputs
from pipeline.core.data_settings import AuditSettings, DataSettings
from pipeline.core.errors import ConfigError, DataError, PipelineError
from pipeline.datasets import Prepared, prepare_dataset
from tests.datasets.test_photos import files
from tests.datasets.test_texts import packed

REGION = AuditSettings(column="region")
N = 90


@pytest.fixture(autouse=True)
def work_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stages write below the folder they run in."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def images(folder: Path, side: str | None, **changes: Any) -> Prepared:
    path = packed(folder / "photos", files(40, prefix="lab_a/") | files(20, prefix="lab_b/night/"))
    if side is not None:
        (path / "side.csv").write_text(side)
    given: dict[str, Any] = {
        "name": "p", "format": "images", "path": str(path), "side": 8, "slices": {}, "duplicates": "keep",
        "sensitive": {"region": REGION}, "side_table": "side.csv", "side_key": "file",
    }  # fmt: skip
    return prepare_dataset(DataSettings(**(given | changes)), 7)


def names() -> list[str]:
    return [*files(40, prefix="lab_a/"), *files(20, prefix="lab_b/night/")]


def lines(left_out: int = 0) -> str:
    kept = names()[left_out:]
    return "\n".join(["file,region,age", *(f"{n},{'north' if i % 2 else 'south'},{i}" for i, n in enumerate(kept))])


def groups(prepared: Prepared, feature: str) -> pd.Series:
    parts = [s.rows.set_index("row_id")[f"audit.{feature}"] for s in prepared.splits.values()]
    return pd.concat(parts)


def test_columns_of_a_side_table_are_groups_and_no_inputs(tmp_path: Path) -> None:
    prepared = images(tmp_path, lines())
    assert isinstance(prepared.card.inputs, ImageInputs)
    assert [f.name for f in prepared.card.audit] == ["region"]
    assert prepared.card.audit[0].groups == ("north", "south")
    found = groups(prepared, "region")
    assert {n: found[n] for n in names()} == {n: "north" if i % 2 else "south" for i, n in enumerate(names())}
    assert not any("missing" in note for note in prepared.card.notes)


def test_rows_without_a_line_are_a_group_of_their_own_and_counted_by_split(tmp_path: Path) -> None:
    prepared = images(tmp_path, lines(left_out=12))
    assert prepared.card.audit[0].groups == ("north", "south", "(missing)")
    found = groups(prepared, "region")
    assert set(found[names()[:12]]) == {"(missing)"}
    assert (found == "(missing)").sum() == 12
    told = [
        int(n.split()[0]) for n in prepared.card.notes if n.endswith("are not in side.csv: their groups are missing")
    ]
    assert sum(told) == 12


def test_an_empty_cell_of_the_side_table_is_missing_too(tmp_path: Path) -> None:
    cut = lines().replace(f"{names()[0]},south", f"{names()[0]},")
    assert groups(images(tmp_path, cut), "region")[names()[0]] == "(missing)"


def test_numbers_of_a_side_table_are_binned_and_missing_ones_kept_apart(tmp_path: Path) -> None:
    age = AuditSettings(column="age", edges=(20,), origin="self_declared")
    prepared = images(tmp_path, lines(left_out=5), sensitive={"age": age})
    assert prepared.card.audit[0].groups == ("< 20", ">= 20", "(missing)")
    assert prepared.card.audit[0].source == "column 'age' in 2 declared bins, self-declared"
    found = groups(prepared, "age")
    assert [found[n] for n in names()[4:7]] == ["(missing)", "< 20", "< 20"]
    assert found[names()[-1]] == ">= 20"


@pytest.mark.parametrize(
    ("side", "changes", "kind", "message"),
    [
        (None, {}, DataError, "photos/side.csv: not found (data.side_table)"),
        (lines(), {"side_key": None}, ConfigError, "data.side_key: not set"),
        (lines(), {"side_key": "name"}, DataError, "side.csv: no column 'name'"),
        (
            lines() + f"\n{names()[3]},east,9",
            {},
            DataError,
            f"side.csv: '{names()[3]}' stands in 2 rows; 1 names do so in all",
        ),
        (lines() + "\n,east,9\n,west,8", {}, DataError, "side.csv: 2 rows have no 'file'"),
        (lines(), {"sensitive": {"town": AuditSettings(column="town")}}, ConfigError, "no column 'town'"),
        ("file,region\n", {}, DataError, "side.csv: holds no rows"),
    ],
    ids=["no file", "no key", "wrong key", "twice", "no names", "no column", "empty"],
)
def test_a_side_table_that_does_not_fit_is_refused(
    tmp_path: Path, side: str | None, changes: dict[str, Any], kind: type[PipelineError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        images(tmp_path, side, **changes)
    assert message in caught.value.message
    assert caught.value.fix


def table(folder: Path, **changes: Any) -> Prepared:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "patient": [f"p{i % 30}" for i in range(N)],
            "value": rng.normal(size=N).round(4),
            "label": rng.choice(["no", "yes"], N),
        }
    )
    frame.to_csv(folder / "a.csv", index=False)
    known = pd.DataFrame({"patient": [f"p{i}" for i in range(28)], "region": ["north", "south"] * 14})
    known.to_csv(folder / "patients.csv", index=False)
    given: dict[str, Any] = {
        "name": "t", "format": "csv", "path": str(folder), "train_file": "a.csv", "target": "label", "slices": {},
        "sensitive": {"region": REGION}, "side_table": "patients.csv", "side_key": "patient", "group_by": "patient",
    }  # fmt: skip
    return prepare_dataset(DataSettings(**(given | changes)), 7)


def test_a_key_that_is_a_column_of_the_rows_joins_by_its_values(tmp_path: Path) -> None:
    prepared = table(tmp_path)
    assert isinstance(prepared.card.inputs, TableInputs)
    assert [c.name for c in prepared.card.inputs.columns] == ["value"]
    for split in prepared.splits.values():
        of = split.rows["raw.patient"].str[1:].astype(int)
        expected = np.where(of >= 28, "(missing)", np.where(of % 2, "south", "north"))
        assert list(split.rows["audit.region"]) == list(expected)
    assert prepared.card.audit[0].groups == ("north", "south", "(missing)")


def test_the_side_table_changes_neither_inputs_nor_splits(tmp_path: Path) -> None:
    with_side, without = table(tmp_path), table(tmp_path, sensitive={}, side_table=None, side_key=None)
    assert with_side.card.inputs == without.card.inputs
    for split, part in with_side.splits.items():
        assert np.array_equal(part.x, without.splits[split].x)
        assert list(part.rows["row_id"]) == list(without.splits[split].rows["row_id"])


def test_a_side_column_named_like_one_of_the_rows_is_refused(tmp_path: Path) -> None:
    (tmp_path / "twice.csv").write_text("patient,value,region\n" + "\n".join(f"p{i},{i},north" for i in range(30)))
    with pytest.raises(DataError, match=r"twice\.csv: column 'value' is one of the rows' own too"):
        table(tmp_path, side_table="twice.csv")


def test_folders_above_the_files_are_groups(tmp_path: Path) -> None:
    levels = {"source": AuditSettings(folder=2), "above": AuditSettings(folder=3), "far": AuditSettings(folder=9)}
    prepared = images(tmp_path, None, sensitive={}, slices=levels, side_table=None)
    source, above, far = (groups(prepared, name) for name in levels)
    assert {n: source[n] for n in names()} == {n: "lab_a" if n.startswith("lab_a") else "night" for n in names()}
    assert {n: above[n] for n in names()} == {n: "(missing)" if n.startswith("lab_a") else "lab_b" for n in names()}
    assert set(far) == {"(missing)"}
    assert prepared.card.audit[0].source == "folder 2 above the file"
    assert isinstance(prepared.card.inputs, ImageInputs)


def test_folders_need_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.slices\.source: these rows have no files of their own"):
        table(tmp_path, sensitive={}, side_table=None, slices={"source": AuditSettings(folder=2)})


def test_texts_by_class_have_folders_too(tmp_path: Path) -> None:
    tree = {f"{'web' if i % 3 else 'mail'}/{'spam' if i % 2 else 'ham'}/{i}.txt": f"word{i % 9} number{i}".encode()
            for i in range(60)}  # fmt: skip
    given = DataSettings(
        name="t", format="text", path=str(packed(tmp_path / "texts", tree)), text=("text",), target="label",
        sensitive={}, slices={"source": AuditSettings(folder=2, origin="administrative")},
    )  # fmt: skip
    prepared = prepare_dataset(given, 7)
    assert prepared.card.audit[0].groups == ("mail", "web")
    assert prepared.card.audit[0].source == "folder 2 above the file, administrative"


def test_series_of_a_forecast_have_groups_from_a_side_table(tmp_path: Path) -> None:
    steps, names = np.arange(120), ["s1", "s2", "s3"]
    rows = pd.DataFrame({"series": np.repeat(names, 120), "t": np.tile(steps, 3),
                         "y": np.sin(np.tile(steps, 3) / 3) + np.repeat([0, 5, 9], 120)})  # fmt: skip
    rows.to_csv(tmp_path / "rows.csv", index=False)
    (tmp_path / "side.csv").write_text("series,region\ns1,north\ns2,south\ns3,north\n")
    given: dict[str, Any] = {
        "name": "f", "format": "forecast", "path": str(tmp_path), "train_file": "rows.csv", "target": "y", "time": "t",
        "series_id": "series", "series_layout": "long", "horizon": 4, "window": 12, "slices": {},
        "sensitive": {"region": REGION}, "side_table": "side.csv", "side_key": "series",
    }  # fmt: skip
    found = groups(prepare_dataset(DataSettings(**given), 7), "region")
    of = {name: set(found[found.index.str.startswith(f"{name} @ ")]) for name in names}
    assert of == {"s1": {"north"}, "s2": {"south"}, "s3": {"north"}}

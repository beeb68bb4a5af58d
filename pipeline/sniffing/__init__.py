"""What kind of data lies at a path, by names and by looking at every row. Nothing is asked; all is said."""

from pathlib import Path

from pipeline.core.errors import ConfigError, DataError
from pipeline.datasets.members import is_archive
from pipeline.sniffing.arrays import sniff_idx, sniff_npz
from pipeline.sniffing.classes import sniff_classes
from pipeline.sniffing.files import Files, ending, of_folder, row_files, with_siblings
from pipeline.sniffing.forecasts import looks_continued, sniff_forecast
from pipeline.sniffing.found import Found, Wishes, require_columns
from pipeline.sniffing.images import image_column, sniff_image_table
from pipeline.sniffing.rows import read_raw
from pipeline.sniffing.series import long_pair, sniff_long, sniff_ts, sniff_wide, step_columns
from pipeline.sniffing.tables import sniff_table


def sniff(path: Path, wishes: Wishes, seed: int) -> Found:
    """Return what lies at a path.

    Args:
        path: a file, a folder or an archive.
        wishes: what the user said of it.
        seed: of the splits, to tell how many rows each will have.

    Raises:
        ConfigError: a wish that does not fit the data.
        DataError: nothing that can be read, or rows that prepare would refuse.
    """
    if not path.exists():
        raise DataError(f"{path}: not found", fix="give a file, a folder or an archive")
    if path.suffix.lower() == ".npz":
        return sniff_npz(path, wishes, seed)
    if is_archive(path):
        return sniff_classes(path, wishes, seed)
    if path.is_file():
        return _files(*with_siblings(path), wishes, seed)
    if any(path.glob("train-images-idx3-ubyte*")):
        return sniff_idx(path, wishes, seed)
    arrays = sorted(path.glob("*.npz"))
    if len(arrays) == 1:
        return sniff_npz(arrays[0], wishes, seed)
    kept = row_files(path)
    if kept:
        return _files(*of_folder(path, kept), wishes, seed)
    archives = [p for p in path.iterdir() if is_archive(p)]
    inside = len(archives) == 1 and not any(p.is_dir() for p in path.iterdir())
    return sniff_classes(archives[0] if inside else path, wishes, seed)


def _files(files: Files, notes: list[str], wishes: Wishes, seed: int) -> Found:
    found = _ts(files, wishes, seed) if ending(files["train"]) == ".ts" else _rows(files, wishes, seed)
    found.facts += notes
    return found


def _ts(files: Files, wishes: Wishes, seed: int) -> Found:
    if wishes.horizon or any(wishes.columns().values()):
        raise ConfigError("init: .ts files hold labelled series without columns", fix="leave target=, time=, … out")
    return sniff_ts(files, wishes, seed)


def _rows(files: Files, wishes: Wishes, seed: int) -> Found:
    """Read tables, and tell by the wishes and the columns what a line is."""
    raw = read_raw(files)
    require_columns(wishes, raw.columns, raw.where)
    if wishes.time and wishes.group_by:
        raise ConfigError("init: time= and group_by= both split the rows", fix="leave one of them out")
    if wishes.horizon or wishes.format == "forecast":
        if wishes.horizon is None:
            raise ConfigError("init: format=forecast needs horizon=", fix="say for example horizon=24")
        return sniff_forecast(raw, wishes)
    if looks_continued(raw):
        given = len(raw.frames["test"].columns) - 1
        raise DataError(f"{raw.where}: series to forecast, which {raw.files['test'].name} continues",
                        fix=f"say how many steps: horizon={given}")  # fmt: skip
    if wishes.format in (None, "image_table") and (column := image_column(raw)):
        return sniff_image_table(raw, wishes, seed, column)
    if wishes.format in (None, "series") and not wishes.text:
        steps = step_columns(raw, wishes.format == "series")
        found = sniff_wide(raw, wishes, seed, steps) if steps else None
        pair = None if found or wishes.group_by else long_pair(raw, wishes)
        found = sniff_long(raw, wishes, seed, pair) if pair else found
        if found:
            return found
        if wishes.format == "series":
            raise DataError(f"{raw.where}: no series: neither steps in columns nor lines by series and time",
                            fix="say id=<column> time=<column>")  # fmt: skip
    return sniff_table(raw, wishes, seed)

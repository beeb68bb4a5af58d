"""Moments as numbers: cells with numbers, or dates in ISO and other usual forms."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.datasets.table_encoding import as_numbers

_ZONE = r"[:T]\d\d(?:[.,]\d+)?\s?(?:Z|[+-]\d\d(?::?\d\d)?)\s*$"


def moments(cells: pd.Series, where: str) -> NDArray[np.float64]:
    """Return numbers as they are, and dates as seconds since 1970 (UTC where no zone is given)."""
    numbers = as_numbers(cells)
    if numbers is None:
        dates = pd.to_datetime(cells, errors="coerce", format="ISO8601", utc=True)
        if dates.isna().any():
            dates = pd.to_datetime(cells, errors="coerce", format="mixed", utc=True)
        numbers = dates.astype("datetime64[ns, UTC]").astype("int64").to_numpy(float) / 1e9
        numbers[dates.isna().to_numpy()] = np.nan
        one_clock(cells, where)
    wrong = np.isnan(numbers)
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(f"{where}: {int(wrong.sum()):,} cells of '{cells.name}' are no moments, the first is "
                        f"{cells.iloc[at]!r} in row {cells.index[at]}", fix="write ISO dates or numbers")  # fmt: skip
    return numbers


def one_clock(cells: pd.Series, where: str) -> None:
    """Refuse dates of which some have a time zone and some have none: nobody knows how far apart they are."""
    zoned = cells.astype(str).str.contains(_ZONE).to_numpy(bool)
    if 0 < zoned.sum() < len(zoned):
        few = zoned if 2 * zoned.sum() < len(zoned) else ~zoned
        at = int(few.argmax())
        raise DataError(
            f"{where}: {few.sum():,} of {len(few):,} cells of '{cells.name}' have {'a' if few is zoned else 'no'} time "
            f"zone, the others {'none' if few is zoned else 'one'}; the first is {cells.iloc[at]!r} in row "
            f"{cells.index[at]}", fix="write all moments with a zone, or all without",
        )  # fmt: skip

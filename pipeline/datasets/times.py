"""Moments as numbers: cells with numbers, or dates in ISO and other usual forms."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.datasets.table_encoding import as_numbers


def moments(cells: pd.Series, where: str) -> NDArray[np.float64]:
    """Return numbers as they are, and dates as seconds since 1970 (UTC where no zone is given)."""
    numbers = as_numbers(cells)
    if numbers is None:
        dates = pd.to_datetime(cells, errors="coerce", format="ISO8601", utc=True)
        if dates.isna().any():
            dates = pd.to_datetime(cells, errors="coerce", format="mixed", utc=True)
        numbers = dates.astype("datetime64[ns, UTC]").astype("int64").to_numpy(float) / 1e9
        numbers[dates.isna().to_numpy()] = np.nan
    wrong = np.isnan(numbers)
    if wrong.any():
        at = int(wrong.argmax())
        raise DataError(f"{where}: {int(wrong.sum()):,} cells of '{cells.name}' are no moments, the first is "
                        f"{cells.iloc[at]!r} in row {cells.index[at]}", fix="write ISO dates or numbers")  # fmt: skip
    return numbers

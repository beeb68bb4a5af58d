"""ISO dates in the cells of a table as numbers: days since the first of the training rows.

A date as a category would tell a network nothing of the days beside it, and nothing at all of a day it has not seen.
"""

import math
import re
from datetime import date, timedelta

import numpy as np
import pandas as pd
from numpy.typing import NDArray

_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?P<zone>\s?(?:Z|[+-]\d\d(?::?\d\d)?))?)?\s*")
EPOCH = "1970-01-01"
_FIRST = 50
"""Cells by which columns that hold no dates are told without looking at all."""


def days(cells: pd.Series, since: str) -> NDArray[np.float64]:
    """Return the days (N,) from the start of `since`, an ISO date, to each cell; parts of days are fractions.

    NaN where a cell is missing, or no ISO date (2014-08-13, or with a time as in 2014-08-13T06:03:42). Times count in
    UTC where no zone is given.
    """
    codes, texts = pd.factorize(cells.to_numpy(object), use_na_sentinel=True)
    kept = pd.Series([text if _DATE.fullmatch(str(text)) else None for text in texts], dtype=object)
    moments = pd.to_datetime(kept, format="ISO8601", utc=True, errors="coerce")
    found = np.asarray((moments - pd.Timestamp(since, tz="UTC")) / pd.Timedelta(days=1), dtype=np.float64)
    return np.append(found, np.nan)[codes]  # a missing cell has code -1


def are_dates(cells: pd.Series) -> bool:
    """Say whether all known cells are ISO dates, and there are any; with times, all or none of them with a zone."""
    known = cells.dropna()
    first = known.iloc[:_FIRST]
    if first.empty or not all(_DATE.fullmatch(str(cell)) for cell in first):
        return False
    zoned = {bool(found and found["zone"]) for found in map(_DATE.fullmatch, map(str, known.unique()))}
    return len(zoned) == 1 and not np.isnan(days(known, EPOCH)).any()


def first_day(cells: pd.Series) -> str:
    """Return the day of the earliest date as an ISO date; all known cells are dates."""
    earliest = math.floor(np.nanmin(days(cells, EPOCH)))
    return (date.fromisoformat(EPOCH) + timedelta(days=earliest)).isoformat()

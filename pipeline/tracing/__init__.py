"""Where a number of the report is from, and whether it can be computed again. Nothing is written here."""

"""What stands behind a number of reports/report.json: value, interval, method, n, stage, settings, code, raw data.

    python -m pipeline.why                       the main numbers and their places
    python -m pipeline.why evaluate.accuracy     one of them; any place of the report
    python -m pipeline.why /evaluate/baselines/0/gain

A place is a JSON pointer, as the page tells it, or keys with dots; keys in between may be left out, and an item of a
list may be called by its name (evaluate.majority.accuracy). The printed command computes the value again; a line
says so where the clock had a say in it.
"""

import sys
from collections.abc import Sequence

from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.store import read_json


def run(arguments: Sequence[str]) -> list[str]:
    """Return the lines to print."""
    from pipeline.reporting.words import interval, resolve
    from pipeline.tracing.places import REPORT, find, is_number, main_places
    from pipeline.tracing.why import clean_line, why_lines

    if len(arguments) > 1:
        raise ConfigError("why: one place at a time", fix="python -m pipeline.why evaluate.accuracy")
    report = read_json(REPORT)
    if arguments:
        return why_lines(report, find(report, arguments[0]))
    found = [(place.dotted, resolve(report, place.pointer)) for place in main_places(report)]
    return [clean_line(f"{name:<44}{interval(n, 4) if is_number(n) else f'{n:,.10g}'}") for name, n in found]


def main(arguments: Sequence[str]) -> int:
    """Print, and return the exit code."""
    if set(arguments) & {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        lines = run(arguments)
    except PipelineError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    sys.stdout.write("\n".join([*lines, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

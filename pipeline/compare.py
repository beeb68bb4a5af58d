"""This run beside another one on the same test rows → reports/compare.json → reports/compare.html.

    python -m pipeline.report compare=REVISION     a commit, branch or tag; its outputs come from DVC's cache
    python -m pipeline.report compare=EXPERIMENT   by its name, as `dvc exp show` lists them
    python -m pipeline.report compare=FOLDER       a copy of a finished run, or another checkout

Nothing is trained and nothing is predicted: differences are paired row by row from the stored predictions. Runs whose
test rows differ are refused.
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.process import settle
from pipeline.core.store import REPORTS, read_json, write_bytes, write_json
from pipeline.stage import prepare_terminal

log = logging.getLogger("pipeline.report")

PAGE, DOCUMENT = REPORTS / "compare.html", REPORTS / "compare.json"


def run(wanted: str) -> None:
    """Write compare.json and compare.html."""
    from pipeline.reporting import comparison_lines, render_comparison
    from pipeline.tracing.runs import folder_of, run_in
    from pipeline.tracing.sides import compared_runs

    this = run_in(Path(), "this run")
    with folder_of(wanted) as folder:
        other = run_in(folder, wanted)
    write_json(DOCUMENT, compared_runs(this, other))
    compared = read_json(DOCUMENT)
    write_bytes(PAGE, render_comparison(compared).encode())
    for line in comparison_lines(compared):
        log.info("%s", line)
    log.info("%s, %.0f kB", PAGE, PAGE.stat().st_size / 1000)


def main(arguments: Sequence[str]) -> int:
    """Compare, and return the exit code."""
    settle()
    prepare_terminal("report")
    if set(arguments) & {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        (one, *more) = arguments
        wanted = one.partition("=")[2]
        if more or not wanted:
            raise ConfigError(f"report: compare takes one run and nothing else, got {' '.join(arguments)}",
                              fix="python -m pipeline.report compare=REVISION, or =FOLDER")  # fmt: skip
        run(wanted)
    except PipelineError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

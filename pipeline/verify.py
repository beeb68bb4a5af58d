"""Everything reported once more: numbers from what is stored, the report from the records, the page, every digest.

    python -m pipeline.verify

Nothing is trained, nothing is predicted and nothing is written; the test rows stay sealed. Numbers that need a
measurement (seconds, latency, energy) or the networks are listed with the reason. The process exits with 0 where all
is equal, 1 where anything differs (the first places are named), 2 where artifacts are missing.
"""

import sys
from collections.abc import Sequence

from pipeline.core.errors import ConfigError, PipelineError
from pipeline.core.process import settle


def run(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Return the lines to print, and whether all is equal."""
    if arguments:
        raise ConfigError(f"verify: takes nothing, got {' '.join(arguments)}", fix="python -m pipeline.verify")
    from pipeline.tracing.verification import verified, verify_lines

    parts = verified()
    return verify_lines(parts), not any(part.mismatches for part in parts)


def main(arguments: Sequence[str]) -> int:
    """Print, and return the exit code."""
    settle()
    if set(arguments) & {"-h", "--help"}:
        sys.stdout.write(f"{__doc__}\n")
        return 0
    try:
        lines, equal = run(arguments)
    except PipelineError as mistake:
        sys.stderr.write(f"error: {mistake}\n")
        return 2
    sys.stdout.write("\n".join([*lines, ""]))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

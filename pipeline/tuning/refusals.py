"""What the database of a study refuses: somebody else holds it, the disk is full, its file is damaged."""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DatabaseError, OperationalError

from pipeline.core.errors import ConfigError
from pipeline.core.provenance import without_passwords

_THEN = "the same command goes on where the search was"
_FIXES = {
    "locked": f"end the program that holds it; {_THEN}",
    "full": f"make room; {_THEN}",
    "readonly": f"let it be written; {_THEN}",
    "malformed": "move it away, and a new study starts",
    "not a database": "move it away, and a new study starts",
    "unable to open": "check the path",
}
"""By what SQLite says."""


def refused_by(wrong: Exception) -> tuple[str, str] | None:
    """Return what the database itself says and what to do about it; None for other errors: mistakes of ours."""
    cause = wrong.__cause__ if isinstance(wrong, StorageInternalError) else wrong
    if not isinstance(cause, OperationalError) and type(cause) is not DatabaseError:
        return None
    reason = without_passwords(str(cause.orig).strip().partition("\n")[0])
    return reason, next((fix for word, fix in _FIXES.items() if word in reason), f"look at it; {_THEN}")


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the database refuses inside into two lines; what was stored stays, the rest is trained again."""
    try:
        yield
    except (DatabaseError, StorageInternalError) as wrong:
        refused = refused_by(wrong)
        if refused is None:
            raise
        reason, fix = refused
        raise ConfigError(f"conf.search.storage: the database refuses ({reason})", fix=fix) from None

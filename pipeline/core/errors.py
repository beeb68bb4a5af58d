"""What can go wrong by a user's hand, one type per kind of mistake.

    PipelineError
    ├── ConfigError     a value in conf/ or on the command line
    ├── SpaceError      a search space, or a candidate that cannot be built
    ├── DataError       a data file against its declaration
    ├── ArtifactError   an artifact that is missing, damaged or of another version
    └── DeviceError     an accelerator that is not here

Each message says where and what; `fix` says what to do. The entry of a stage prints both on one or two lines and
exits with code 2. Everything else is our mistake and keeps its traceback.
"""


class PipelineError(Exception):
    """A mistake the user can fix; shown without a traceback."""

    def __init__(self, message: str, *, fix: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        """Message, and the fix on a line of its own."""
        return f"{self.message}\n  fix: {self.fix}" if self.fix else self.message


class ConfigError(PipelineError):
    """A value in conf/ or on the command line is wrong."""


class SpaceError(PipelineError):
    """A search space is wrong, or no candidate in it can be built."""


class DataError(PipelineError):
    """A data file does not match its declaration."""


class ArtifactError(PipelineError):
    """An artifact is missing, damaged or written by another schema version."""


class DeviceError(PipelineError):
    """The requested accelerator is not here."""

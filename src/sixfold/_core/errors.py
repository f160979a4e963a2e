"""Every error that Sixfold raises on purpose, in one tree.

SixfoldError
├── DefinitionError     a system file contradicts itself; carries every problem found, not the first
├── InputError          an argument, a request or an event that cannot be used as it is
│   ├── NotFoundError   nothing has that id
│   ├── ConflictError   the id was used for something else
│   └── TooLargeError   more than is taken at once
├── DataError           a data set is missing, damaged or not what it says it is
├── LogError            the event log cannot do what was asked
├── FeatureError        a feature cannot be computed from what was given
├── ModelError          a model cannot be fitted, saved or loaded
├── ReleaseError        a release is unknown, damaged or not allowed to serve
└── ServiceError        the service cannot start or cannot answer
    └── OverloadedError there is more to do than can be done; the same request may succeed in a moment
"""

from collections.abc import Iterable

__all__ = [
    "ConflictError",
    "DataError",
    "DefinitionError",
    "FeatureError",
    "InputError",
    "LogError",
    "ModelError",
    "NotFoundError",
    "OverloadedError",
    "ReleaseError",
    "ServiceError",
    "SixfoldError",
    "TooLargeError",
]


class SixfoldError(Exception):
    """What went wrong, and what to do about it.

    >>> str(SixfoldError("the log is closed", hint="open it again with SqliteLog(path)"))
    'the log is closed. What to do: open it again with SqliteLog(path)'
    """

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(f"{what.rstrip('.')}. What to do: {hint}" if hint else what)
        self.what = what
        self.hint = hint


class DefinitionError(SixfoldError):
    """A system file contradicts itself; `problems` lists everything that was found.

    >>> print(DefinitionError(["the split gap is 0", "limit 'p99_ms' has no bound"]))
    2 problems in the definition:
      1. the split gap is 0
      2. limit 'p99_ms' has no bound
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        title = f"{count} problem{'s' if count != 1 else ''} in the definition:"
        super().__init__("\n".join([title, *(f"  {i}. {text}" for i, text in enumerate(self.problems, 1))]))


class InputError(SixfoldError):
    """An argument, a request or an event that cannot be used as it is."""


class NotFoundError(InputError):
    """Nothing has that id."""


class ConflictError(InputError):
    """The id was used for something else."""


class TooLargeError(InputError):
    """More than is taken at once."""


class DataError(SixfoldError):
    """A data set is missing, damaged or not what it says it is."""


class LogError(SixfoldError):
    """The event log cannot do what was asked."""


class FeatureError(SixfoldError):
    """A feature cannot be computed from what was given."""


class ModelError(SixfoldError):
    """A model cannot be fitted, saved or loaded."""


class ReleaseError(SixfoldError):
    """A release is unknown, damaged or not allowed to serve."""


class ServiceError(SixfoldError):
    """The service cannot start or cannot answer."""


class OverloadedError(ServiceError):
    """There is more to do than can be done; the same request may succeed in a moment."""

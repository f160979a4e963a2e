"""The service's log where something is personal: what failed and where is said, but not on which values."""

import logging

from sixfold._core.errors import LogError, ModelError, ReleaseError, ServiceError
from sixfold.data.privacy import MASK

__all__ = ["Discreet"]

_QUOTE_NOTHING = (LogError, ModelError, ReleaseError, ServiceError)


class Discreet(logging.Filter):
    """Takes the messages of exceptions out of records, since they may quote values; types and places stay.

    >>> record = logging.LogRecord("sixfold", logging.ERROR, "", 1, "it failed: %s", (KeyError("jane@x.org"),), None)
    >>> Discreet().filter(record), record.getMessage()
    (True, 'it failed: KeyError: ***')
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the record; it is always kept."""
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            record.exc_info = (RuntimeError, RuntimeError(_told(error)), error.__traceback__)
        if isinstance(record.args, tuple):
            record.args = tuple(_told(one) if isinstance(one, BaseException) else one for one in record.args)
        return True


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, _QUOTE_NOTHING) else f"{type(error).__name__}: {MASK}"

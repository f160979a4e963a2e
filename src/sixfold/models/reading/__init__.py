"""Reading: finding the answer to a question in passages, and how sure one may be of it."""

from sixfold.models.reading.contract import Examples, FittedReader, Reader, Reading
from sixfold.models.reading.span_reader import SpanReader

__all__ = ["Examples", "FittedReader", "Reader", "Reading", "SpanReader"]

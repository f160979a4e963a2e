"""Sixfold: a decision system from its declared goal to a monitored, replayable service, out of one event log."""

__version__ = "0.1.0"

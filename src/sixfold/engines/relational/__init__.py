"""One relational plan, run by DuckDB on one machine (out of core) and by Spark past it."""

from sixfold.engines.relational.duckdb import DuckDbEngine

__all__ = ["DuckDbEngine"]

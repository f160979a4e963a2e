"""One relational plan, run by DuckDB on one machine (out of core) and by Spark past it."""

from sixfold.engines.relational.duckdb import DuckDbEngine
from sixfold.engines.relational.spark import SparkEngine

__all__ = ["DuckDbEngine", "SparkEngine"]

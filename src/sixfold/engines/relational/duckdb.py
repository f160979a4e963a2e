"""The relational plan on DuckDB: in process, out of core."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold.engines.relational.engine import RelationalEngine
from sixfold.engines.relational.evaluation import Backend

__all__ = ["DuckDbEngine"]

_BATCH = 262_144


class DuckDbEngine(RelationalEngine):
    """Features by DuckDB with a limit on its memory; what does not fit goes to files under `folder`.

    Raises FeatureError if duckdb or ibis is not installed.
    """

    def __init__(self, *, memory: str = "2GB", threads: int = 2, folder: Path | None = None) -> None:
        super().__init__(memory=memory, threads=threads, folder=folder)
        try:
            import duckdb  # noqa: F401
            import ibis  # noqa: F401
        except ImportError as error:
            raise FeatureError(
                f"the DuckDB engine needs a package that is not installed ({error.name})",
                hint="pip install 'sixfold[duckdb]'",
            ) from error

    def connect(self, folder: Path) -> Backend:
        """A database in memory."""
        import duckdb

        return _DuckDb(
            duckdb.connect(
                config={
                    "memory_limit": self.memory,
                    "threads": self.threads,
                    "temp_directory": str(folder / "spill"),
                    "preserve_insertion_order": False,
                }
            )
        )


class _DuckDb:
    dialect = "duckdb"

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def view(self, name: str, path: Path) -> None:
        self._connection.execute(f"CREATE VIEW {name} AS FROM read_parquet('{_quoted(path)}')")

    def save(self, sql: str, path: Path) -> None:
        self._connection.execute(
            f"COPY ({_whole(sql)}) TO '{_quoted(path)}' (FORMAT parquet, COMPRESSION uncompressed)"
        )

    def batches(self, sql: str) -> Iterator[dict[str, Array]]:
        for batch in self._connection.sql(_whole(sql)).to_arrow_reader(_BATCH):
            yield {name: np.asarray(batch[name]) for name in batch.schema.names}

    def close(self) -> None:
        self._connection.close()


def _whole(sql: str) -> str:
    """The query with all columns as int64: DuckDB widens sums to 128 bits."""
    return f"SELECT CAST(COLUMNS(*) AS BIGINT) FROM ({sql})"  # noqa: S608 - Ibis rendered it from a tree of ours


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")

"""The relational plan on Spark: past one machine, or on one for trying."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import FeatureError
from sixfold._core.table import Array
from sixfold.engines.relational.engine import RelationalEngine, bytes_of
from sixfold.engines.relational.evaluation import Backend

__all__ = ["SparkEngine"]


class SparkEngine(RelationalEngine):
    """Features by Spark: on the session given, whose workers must see `folder`, or in a local one of `threads`.

    A local session is started when it is first needed; `close` ends it. Raises FeatureError if pyspark, ibis or Java
    is not there.
    """

    def __init__(
        self, session: Any = None, *, memory: str = "2GB", threads: int = 2, folder: Path | None = None
    ) -> None:
        super().__init__(memory=memory, threads=threads, folder=folder)
        try:
            import ibis
            import pyspark  # noqa: F401

            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # pyspark warns of pandas 3, of which nothing is used
                self._dialect = str(ibis.pyspark.name)
        except ImportError as error:
            raise FeatureError(
                f"the Spark engine needs a package that is not installed ({error.name})",
                hint="pip install 'sixfold[spark]'",
            ) from error
        if session is None and not java():
            raise FeatureError(
                "Spark runs on Java, and none was found",
                hint="install Java 17 or later, and put `java` on the path or set JAVA_HOME",
            )
        self._session, self._owned = session, session is None

    def connect(self, folder: Path) -> Backend:
        """A backend on the session."""
        if self._session is None:
            self._session = self._start()
        return _Spark(self._session, folder, self._dialect)

    def close(self) -> None:
        """End a session that this engine started."""
        if self._owned and self._session is not None:
            self._session.stop()
            self._session = None

    def _start(self) -> Any:
        from pyspark.sql import SparkSession

        scratch = str(self.folder or tempfile.gettempdir())
        settings = {
            "spark.driver.memory": f"{bytes_of(self.memory) // 2**20}m",
            "spark.local.dir": scratch,
            "spark.log.level": "ERROR",
            "spark.sql.ansi.enabled": "false",
            "spark.sql.shuffle.partitions": str(2 * self.threads),
            "spark.sql.warehouse.dir": scratch,
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }
        builder = SparkSession.builder.master(f"local[{self.threads}]").appName("sixfold")
        for name, value in settings.items():
            builder = builder.config(name, value)
        return builder.getOrCreate()


class _Spark:
    def __init__(self, session: Any, folder: Path, dialect: str) -> None:
        self._session, self._folder, self.dialect = session, folder, dialect
        self._views: list[str] = []

    def view(self, name: str, path: Path) -> None:
        self._session.read.parquet(str(path)).createOrReplaceTempView(name)
        self._views.append(name)

    def save(self, sql: str, path: Path) -> None:
        self._session.sql(sql).write.parquet(str(path))

    def batches(self, sql: str) -> Iterator[dict[str, Array]]:
        import pyarrow.parquet as pq

        path = self._folder / "found"
        self.save(sql, path)
        for file in sorted(path.glob("*.parquet")):  # in this order, if the query asked for one
            for batch in pq.ParquetFile(file).iter_batches():
                yield {name: np.asarray(batch[name]).astype(np.int64) for name in batch.schema.names}
        shutil.rmtree(path)

    def close(self) -> None:
        for name in self._views:
            self._session.catalog.dropTempView(name)


def java() -> str | None:
    """Where Java is, None if it is not found."""
    import os

    home = os.environ.get("JAVA_HOME", "")
    return shutil.which("java") or (shutil.which("java", path=str(Path(home) / "bin")) if home else None)

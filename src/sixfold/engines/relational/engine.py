"""Feature sets evaluated as one relational plan, for data that does not fit in memory.

A pass over the history and one over the spine write what the plan reads; the plan runs on a backend; a pass over what
it found makes the features. All three keep to chunks, so memory is bounded by the chunks and the backend's limit; the
texts of keys and values, and an entry for each tile of the history, are held.
"""

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from sixfold._core.errors import FeatureError
from sixfold._core.table import Table
from sixfold.engines.relational.answers import Scratch
from sixfold.engines.relational.encoding import Texts
from sixfold.engines.relational.evaluation import Backend, Evaluation
from sixfold.engines.relational.events import EventWriter
from sixfold.engines.relational.layout import Layout
from sixfold.engines.relational.questions import QuestionWriter
from sixfold.features.featureset import FeatureSet
from sixfold.features.folding import chunks
from sixfold.features.freshness import Guard
from sixfold.features.plan import Plan

__all__ = ["RelationalEngine", "bytes_of"]

_ROWS = 262_144


class RelationalEngine(ABC):
    """What engines on a database share; `memory` bounds the database, `folder` is where the files of a run go."""

    def __init__(self, *, memory: str, threads: int, folder: Path | None) -> None:
        self.memory, self.threads, self.folder = memory, threads, folder
        self._room = bytes_of(memory) // 8

    @abstractmethod
    def connect(self, folder: Path) -> Backend:
        """A new backend that may write to the folder."""

    def as_of(self, features: FeatureSet, history: Mapping[str, Table], spine: Table) -> Table:
        """As `sixfold.features.as_of`: the features of every spine row, one column each, (n_rows, …)."""
        pieces = [spine.take(slice(i, i + _ROWS)) for i in range(0, max(len(spine), 1), _ROWS)]
        stop = max((int(table["offset"][-1]) + 1 for table in history.values() if table), default=0)
        parts = (part for part, _ in chunks(history, _ROWS, stop))
        return Table.concat(list(self.stream(features, parts, pieces)))

    def stream(
        self, features: FeatureSet, history: Iterable[Mapping[str, Table]], spine: Iterable[Table]
    ) -> Iterator[Table]:
        """The features of spines of any size from a history of any size, both in chunks; a table for each chunk.

        The chunks of the history come in order of offset, as from `log.read`. Raises FeatureError, before any work,
        for a feature that has no relational form, and on the way for a chunk that cannot be used.
        """
        guard = Guard(features)
        layout = Layout(Plan(guard.features))
        return (guard.past(features.names, table) for table in self._tables(layout, history, spine))

    def _tables(
        self, layout: Layout, history: Iterable[Mapping[str, Table]], spine: Iterable[Table]
    ) -> Iterator[Table]:
        with tempfile.TemporaryDirectory(prefix="sixfold-", dir=self.folder) as name:
            folder = Path(name)
            events = EventWriter(layout, folder, Texts())
            for part in history:
                events.write(part)
            events.close()
            questions = QuestionWriter(events, folder)
            for rows in spine:
                questions.write(rows)
            questions.close()
            with closing(self.connect(folder)) as backend:
                answers = Evaluation(events, questions, backend, Scratch(folder, self._room), folder).run()
            yield from answers.tables(questions)


def bytes_of(memory: str) -> int:
    """The bytes of a size such as "2GB" or "512MB"; raises FeatureError on anything else.

    >>> bytes_of("2GB"), bytes_of("512MB")
    (2000000000, 512000000)
    """
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
    number, unit = memory[:-2], memory[-2:]
    if unit not in units or not number.isdecimal() or int(number) == 0:
        raise FeatureError(f"{memory!r} is not an amount of memory", hint='write it as "2GB" or "512MB"')
    return int(number) * units[unit]

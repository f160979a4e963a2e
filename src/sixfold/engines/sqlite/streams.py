"""The streams of a log and the columns they have had: each list of columns has a code, the newest one is in force."""

import sqlite3

import msgspec

from sixfold.data.arrival import Kinds

__all__ = ["Streams"]


class Streams:
    """The table `streams`, kept in step with the database; call `refresh` inside each transaction.

    Where a transaction that made a code is rolled back, throw the `Streams` away: the code may become another's.
    """

    def __init__(self) -> None:
        self.by_code: dict[int, tuple[str, Kinds]] = {}
        self.current: dict[str, int] = {}

    def refresh(self, connection: sqlite3.Connection) -> None:
        """Take in the codes of other processes."""
        newest = connection.execute("SELECT coalesce(max(code), 0) FROM streams").fetchone()[0]
        if newest != len(self.by_code):
            rows = connection.execute("SELECT code, name, columns FROM streams ORDER BY code").fetchall()
            self.by_code = {code: (name, dict(msgspec.json.decode(columns))) for code, name, columns in rows}
            self.current = {name: code for code, (name, _) in self.by_code.items()}

    def code(self, connection: sqlite3.Connection, stream: str, kinds: Kinds) -> int:
        """The code of a stream with these columns, a new one if they differ from the stream's last."""
        code = self.current.get(stream)
        if code is not None and list(self.by_code[code][1].items()) == list(kinds.items()):
            return code
        code = len(self.by_code) + 1
        columns = msgspec.json.encode(list(kinds.items())).decode()
        connection.execute("INSERT INTO streams VALUES (?, ?, ?)", (code, stream, columns))
        self.by_code[code] = (stream, kinds)
        self.current[stream] = code
        return code

    def kinds(self, stream: str) -> Kinds:
        """The columns that a stream has now."""
        return self.by_code[self.current[stream]][1]

    def codes(self, streams: set[str] | None) -> list[int]:
        """All codes of the named streams, or of every stream."""
        return [code for code, (name, _) in self.by_code.items() if streams is None or name in streams]

"""The newest events, or the oldest, that each row sees."""

from collections.abc import Sequence
from typing import Any

from sixfold.engines.relational.relations import Relation, known, null, so_far, union

__all__ = ["newest_events", "newest_rows", "oldest_events", "with_alive", "with_values"]


def _moments(events: Relation, rows: Relation, keys: Sequence[str], *, row: str, stop: str) -> tuple[Relation, Any]:
    """Events and rows in one relation, and the window from the first of a key up to each."""
    theirs, mine = known(events, keys), known(rows, keys)
    both = union(
        [
            theirs.select(*keys, "at", position=theirs["offset"] * 2 + 1, event="offset", question=null()),
            mine.select(*keys, at=null(), position=mine[stop] * 2, event=null(), question=row),
        ]
    )
    return both, so_far(keys, "position")


def oldest_events(events: Relation, rows: Relation, keys: Sequence[str]) -> Relation:
    """The oldest event by (at, offset) below each row's offset, as `newest_events` gives the newest.

    Rows that see no event are left out.
    """
    import ibis

    both, upto = _moments(events, rows, keys, row="id", stop="stop")
    before = ibis.window(rows=(None, -1), group_by=list(keys), order_by="position")
    both = both.mutate(oldest=both["at"].min().over(before), newest_at=both["at"].min().over(upto))
    leads = (both["oldest"].isnull() & both["event"].notnull()) | (both["at"] < both["oldest"])
    both = both.mutate(leads=ibis.ifelse(leads, both["event"], null()))
    told = both.select("question", "newest_at", newest=both["leads"].max().over(upto))
    return told.filter([told["question"].notnull(), told["newest"].notnull()])


def newest_events(
    events: Relation, rows: Relation, keys: Sequence[str], *, row: str, stop: str, calm: bool
) -> Relation:
    """The newest event by (at, offset) below each row's offset: `question`, `newest` (its offset) and `newest_at`.

    Rows that see no event are left out. If `calm`, no event is older than one before it.
    """
    import ibis

    both, upto = _moments(events, rows, keys, row=row, stop=stop)
    both = both.mutate(newest_at=both["at"].max().over(upto))
    leads = both["event"] if calm else ibis.ifelse(both["at"] == both["newest_at"], both["event"], null())
    both = both.mutate(leads=leads)
    told = both.select("question", "newest_at", newest=both["leads"].max().over(upto))
    return told.filter([told["question"].notnull(), told["newest"].notnull()])


def with_values(found: Relation, events: Relation, values: Sequence[str]) -> Relation:
    """The found events' values."""
    wanted = events.select("offset", *values)
    return found.join(wanted, found["newest"] == wanted["offset"]).drop("offset").rename(event="newest")


def with_alive(
    found: Relation, dead: Relation, asking: tuple[Relation, str, str], keys: Sequence[str], *, n: int, oldest: bool
) -> Relation:
    """The newest `n` events (or the oldest) of those found and those that are retracted only after a row's offset.

    `asking` are rows, with the columns of their number and offset; found are `question`, `event`, `newest_at`, values.
    """
    import ibis

    rows, row, stop = asking
    values = [name for name in found.columns if name not in ("question", "event", "newest_at", "place")]
    mine = known(rows, keys).select(*keys, question=row, stop=stop)
    gone = mine.join(known(dead, keys).select(*keys, "until", *values, event="offset", newest_at="at"), list(keys))
    gone = gone.filter([gone["event"] < gone["stop"], gone["until"] >= gone["stop"]])
    columns = ["question", "event", "newest_at", *values]
    both = union([found.select(*columns), gone.select(*columns)])
    newer = [both["newest_at"], both["event"]]
    order = ibis.window(group_by="question", order_by=newer if oldest else [ibis.desc(column) for column in newer])
    both = both.mutate(place=ibis.row_number().over(order))
    return both.filter(both["place"] < n)


def newest_rows(events: Relation, rows: Relation, keys: Sequence[str], *, n: int, values: Sequence[str]) -> Relation:
    """The newest `n` events below each row's offset: `id`, `place` (0 is the newest), `newest_at` and the values.

    An event leads if none before it is newer. The last n leaders outrank all that came before the first of them, so
    the n newest events lie between that one and the end.
    """
    import ibis

    both, upto = _moments(events, rows, keys, row="id", stop="stop")
    both = both.mutate(place=both["event"].count().over(upto), top=both["at"].max().over(upto))
    both = both.mutate(leads=ibis.ifelse(both["at"] == both["top"], both["event"], null()))
    both = both.mutate(leader=both["leads"].count().over(upto))
    placed = both.filter(both["question"].isnull())
    asked = both.filter([both["question"].notnull(), both["place"] > 0])
    asked = asked.select(*keys, "question", last="place", leader=ibis.greatest(asked["leader"] - (n - 1), 1))
    leaders = placed.filter(placed["leads"].notnull()).select(*keys, "leader", begin="place")
    spans = asked.join(leaders.view(), [*keys, "leader"])
    spans = spans.select(*keys, "question", "begin", end=spans["last"] + 1)
    spans = spans.mutate(place=ibis.range(spans["begin"], spans["end"]).unnest()).drop("begin", "end")
    found = spans.join(placed.select(*keys, "place", "at", "event").view(), [*keys, "place"])
    newer = ibis.window(group_by="question", order_by=[ibis.desc("at"), ibis.desc("event")])
    ranked = found.select("question", "event", newest_at="at", place=ibis.row_number().over(newer))
    ranked = ranked.filter(ranked["place"] < n)
    wanted = events.select("offset", *values)
    told = ranked.join(wanted, ranked["event"] == wanted["offset"])
    return told.select("question", "event", "newest_at", "place", *values)

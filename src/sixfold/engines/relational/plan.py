"""The relational plan, as Ibis expressions: the same for every backend.

Rows of the spine and events are put into one relation, ordered by key and offset; running sums (or maxima) over it
give what every row sees, and the difference of two of them what a window holds. All columns are int64. Events carry
odd positions 2 * offset + 1, rows that ask even ones, so that a row sees the events below its own offset.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sixfold.features.store import NEUTRAL

__all__ = [
    "Relation",
    "alive_maxima",
    "keyed_by",
    "late_maxima",
    "newest_events",
    "newest_rows",
    "null",
    "number",
    "occurrences",
    "oldest_events",
    "range_maxima",
    "repairs",
    "running",
    "unless",
    "while_alive",
    "with_alive",
    "with_ends",
    "with_values",
]

Relation = Any
"""An Ibis table: Ibis has no types of its own."""


def null() -> Any:
    """A number that is not known."""
    import ibis

    return ibis.null("int64")


def number(value: int) -> Any:
    """A number for all rows."""
    import ibis

    return ibis.literal(value, "int64")


def unless(flag: Any, value: Any) -> Any:
    """The value where the flag is 0, and nothing to a maximum where it is 1."""
    import ibis

    return ibis.ifelse(flag == 1, ibis.literal(NEUTRAL, "int64"), value)


def _so_far(keys: Sequence[str], order: str) -> Any:
    import ibis

    return ibis.window(rows=(None, 0), group_by=list(keys), order_by=order)


def _known(relation: Relation, keys: Sequence[str]) -> Relation:
    return relation.filter([relation[key].notnull() for key in keys])


def _union(parts: Sequence[Relation]) -> Relation:
    import ibis

    return parts[0] if len(parts) == 1 else ibis.union(*parts, distinct=False)


def keyed_by(relation: Relation, found: Relation, row: str, owner: str) -> Relation:
    """The relation with the key columns that were found for some of its rows; null for the others."""
    return relation.left_join(found, relation[row] == found[owner]).drop(owner)


def running(
    events: Relation,
    asks: Relation,
    keys: Sequence[str],
    lanes: Mapping[str, tuple[Any, bool]],
    *,
    carry: Sequence[str] = (),
) -> Relation:
    """The lanes merged over all events of the key below the `place` of each question.

    `lanes` are name -> (expression over events, whether it adds). Gives `question`, the lanes, and the keys to carry.
    """
    import ibis

    nothing = {name: ibis.literal(0 if adds else NEUTRAL, lane.type()) for name, (lane, adds) in lanes.items()}
    merged = {name: lane for name, (lane, _) in lanes.items()}
    theirs, mine = _known(events, keys), _known(asks.filter(asks["place"] > 0), keys)
    union = _union(
        [
            theirs.select(*keys, position=theirs["offset"] * 2 + 1, question=null(), **merged),
            mine.select(*keys, "question", position=mine["place"] * 2, **nothing),
        ]
    )
    so_far = _so_far(keys, "position")
    sums = {n: (union[n].sum() if adds else union[n].max()).over(so_far) for n, (_, adds) in lanes.items()}
    told = union.select("question", *carry, **sums)
    return told.filter(told["question"].notnull())


def repairs(
    events: Relation,
    off_time: tuple[Relation, Relation],
    asks: Relation,
    keys: Sequence[str],
    lanes: Mapping[str, Any],
    *,
    carry: Sequence[str] = (),
) -> Relation:
    """What events off time add to a question or take from it: those in whose blocks of tiles the lowest tile lies.

    `off_time` are the blocks, and the hop and level of all of them. Gives `question`, the lanes, and the keys to carry.
    """
    late, levels = off_time
    theirs = _known(events, keys).select(*keys, "offset", **lanes)
    off = late.join(theirs, late["offset"] == theirs["offset"])
    signed = {name: off[name] * off["sign"] for name in lanes}
    off = off.select(*keys, "hop", "level", "block", event="offset", **signed)
    mine = _known(asks, keys).join(levels, "hop")
    mine = mine.select(*keys, "hop", "level", "stop", "question", "low")
    mine = mine.mutate(block=_shifted(mine["low"], mine["level"]))
    both = mine.join(off, [*keys, "hop", "level", "block"])
    both = both.filter(both["event"] < both["stop"])
    return both.group_by(["question", *carry]).aggregate(**{name: both[name].sum() for name in lanes})


def occurrences(
    events: Relation,
    off_time: tuple[Relation, Relation] | None,
    asks: Relation,
    keys: Sequence[str],
    *,
    item: str,
    lane: str,
    dead: Relation | None,
) -> Relation:
    """How often each item occurs under the key of each row: `id`, `item` and `n` > 0.

    The questions of a row are 2 * id about its end and 2 * id + 1 about where its cut begins.
    """
    theirs = _known(events, [*keys, item])
    pairs = theirs.group_by([*keys, item]).aggregate(first=theirs["offset"].min())
    asked = _known(asks, keys).join(pairs, list(keys))
    asked = asked.filter(asked["first"] < asked["stop"]).drop("first")
    told = running(events, asked, [*keys, item], {"n": (events[lane].cast("float64"), True)}, carry=[item])
    sign = 1 - (told["question"] & 1) * 2
    parts = [told.select(item, id=told["question"] >> 1, n=told["n"] * sign)]
    if off_time is not None:
        more = repairs(events, off_time, asked, [*keys, item], {"n": events[lane].cast("float64")}, carry=[item])
        parts.append(more.select(item, id=more["question"] >> 1, n="n"))
    if dead is not None:
        gone = while_alive(dead, asks, keys, {"n": (dead[lane].cast("float64"), True)}, carry=[item])
        parts.append(gone.select(item, id=gone["question"] >> 1, n=gone["n"] * (1 - (gone["question"] & 1) * 2)))
    union = _union(parts)
    counts = union.group_by(["id", item]).aggregate(n=union["n"].sum())
    return counts.filter(counts["n"] > 0).select("id", item=item, n="n").order_by("id")


def with_ends(events: Relation, retractions: Relation) -> Relation:
    """The events with the offset of their first retraction, `until`; null where there is none."""
    first = retractions.group_by("target").aggregate(until=retractions["until"].min())
    return events.left_join(first, events["offset"] == first["target"]).drop("target")


def while_alive(
    dead: Relation, asks: Relation, keys: Sequence[str], lanes: Mapping[str, tuple[Any, bool]], *, carry: Sequence[str]
) -> Relation:
    """As `running`, over events that are retracted later than the question's `stop`, under the full condition."""
    merged = {name: lane for name, (lane, _) in lanes.items()}
    theirs = dead.select(*keys, *carry, "at", "until", event="offset", **merged)
    both = _known(asks, keys).join(_known(theirs, [*keys, *carry]), list(keys))
    both = both.filter([both["event"] < both["stop"], both["until"] >= both["stop"], both["at"] < both["since"]])
    both = both.group_by(["question", *carry])
    return both.aggregate(
        **{n: (lambda t, n=n, adds=adds: t[n].sum() if adds else t[n].max()) for n, (_, adds) in lanes.items()}
    )


def _shifted(value: Any, bits: Any) -> Any:
    return value >> bits.cast("int32")


def late_maxima(
    events: Relation, late: Relation, spine: Relation, low: str, keys: Sequence[str], *, lanes: Sequence[str]
) -> Relation:
    """The greatest of the events off time that a row sees and its window holds, under the full condition."""
    events = _known(events, keys)
    off = late.join(events.select(*keys, "offset", *lanes), "offset").rename(event="offset")
    rows = _known(spine, keys).select(*keys, "stop", low=low, question="id")
    both = rows.join(off, list(keys))
    both = both.filter([both["event"] < both["stop"], both["tile"] >= both["low"]])
    return both.group_by("question").aggregate(**{name: both[name].max() for name in lanes})


def alive_maxima(dead: Relation, spine: Relation, since: str, keys: Sequence[str], *, lanes: Sequence[str]) -> Relation:
    """The greatest of the events from the instant `since` on that are retracted only after the row's offset."""
    theirs = _known(dead, keys).select(*keys, "at", "until", *lanes, event="offset")
    both = _known(spine, keys).select(*keys, "stop", since=since, question="id").join(theirs, list(keys))
    both = both.filter([both["event"] < both["stop"], both["until"] >= both["stop"], both["at"] >= both["since"]])
    return both.group_by("question").aggregate(**{name: both[name].max() for name in lanes})


def range_maxima(
    events: Relation, levels: Relation, spine: Relation, cut: str, keys: Sequence[str], *, lanes: Mapping[str, Any]
) -> Relation:
    """The greatest over a range of offsets: the end of one block and the start of the next (a disjoint sparse table).

    Blocks of even number are only asked for their ends, odd ones for their starts; so each is walked in one direction.
    Every `question` (a row's id) is given up to twice.
    """
    import ibis

    nothing = dict.fromkeys(lanes, number(NEUTRAL))
    inside = _known(spine.semi_join(levels, spine[f"level_{cut}"] == levels["level"]), keys)
    second, level = inside[f"next_{cut}"], inside[f"level_{cut}"]
    asked = [
        inside.select(*keys, level=level, block=block, position=position, question="id", **nothing)
        for block, position in ((second, inside["stop"] * 2), (second - 1, inside[f"from_{cut}"] * -2))
    ]
    theirs = _known(events, keys).select(*keys, "offset", **lanes).cross_join(levels)
    theirs = theirs.mutate(block=_shifted(theirs["offset"], theirs["level"]), position=theirs["offset"] * 2 + 1)
    theirs = theirs.semi_join(_union(asked).select(*keys, "level", "block"), [*keys, "level", "block"])
    position = ibis.ifelse(theirs["block"] & 1 == 1, theirs["position"], -theirs["position"])
    wanted = theirs.select(*keys, "level", "block", position=position, question=null(), **{n: theirs[n] for n in lanes})
    union = _union([wanted, *asked])
    so_far = _so_far([*keys, "level", "block"], "position")
    told = union.select("question", **{name: union[name].max().over(so_far) for name in lanes})
    return told.filter(told["question"].notnull())


def oldest_events(events: Relation, rows: Relation, keys: Sequence[str]) -> Relation:
    """The oldest event by (at, offset) below each row's offset, as `newest_events` gives the newest.

    Rows that see no event are left out.
    """
    import ibis

    union, so_far = _moments(events, rows, keys, row="id", stop="stop")
    before = ibis.window(rows=(None, -1), group_by=list(keys), order_by="position")
    union = union.mutate(oldest=union["at"].min().over(before), newest_at=union["at"].min().over(so_far))
    leads = (union["oldest"].isnull() & union["event"].notnull()) | (union["at"] < union["oldest"])
    union = union.mutate(leads=ibis.ifelse(leads, union["event"], null()))
    told = union.select("question", "newest_at", newest=union["leads"].max().over(so_far))
    return told.filter([told["question"].notnull(), told["newest"].notnull()])


def newest_events(
    events: Relation, rows: Relation, keys: Sequence[str], *, row: str, stop: str, calm: bool
) -> Relation:
    """The newest event by (at, offset) below each row's offset: `question`, `newest` (its offset) and `newest_at`.

    Rows that see no event are left out. If `calm`, no event is older than one before it.
    """
    import ibis

    union, so_far = _moments(events, rows, keys, row=row, stop=stop)
    union = union.mutate(newest_at=union["at"].max().over(so_far))
    leads = union["event"] if calm else ibis.ifelse(union["at"] == union["newest_at"], union["event"], null())
    union = union.mutate(leads=leads)
    told = union.select("question", "newest_at", newest=union["leads"].max().over(so_far))
    return told.filter([told["question"].notnull(), told["newest"].notnull()])


def _moments(events: Relation, rows: Relation, keys: Sequence[str], *, row: str, stop: str) -> tuple[Relation, Any]:
    """Events and rows in one relation, and the window from the first of a key up to each."""
    theirs, mine = _known(events, keys), _known(rows, keys)
    union = _union(
        [
            theirs.select(*keys, "at", position=theirs["offset"] * 2 + 1, event="offset", question=null()),
            mine.select(*keys, at=null(), position=mine[stop] * 2, event=null(), question=row),
        ]
    )
    return union, _so_far(keys, "position")


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
    mine = _known(rows, keys).select(*keys, question=row, stop=stop)
    gone = mine.join(_known(dead, keys).select(*keys, "until", *values, event="offset", newest_at="at"), list(keys))
    gone = gone.filter([gone["event"] < gone["stop"], gone["until"] >= gone["stop"]])
    columns = ["question", "event", "newest_at", *values]
    both = _union([found.select(*columns), gone.select(*columns)])
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

    union, so_far = _moments(events, rows, keys, row="id", stop="stop")
    union = union.mutate(place=union["event"].count().over(so_far), top=union["at"].max().over(so_far))
    union = union.mutate(leads=ibis.ifelse(union["at"] == union["top"], union["event"], null()))
    union = union.mutate(leader=union["leads"].count().over(so_far))
    placed = union.filter(union["question"].isnull())
    asked = union.filter([union["question"].notnull(), union["place"] > 0])
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

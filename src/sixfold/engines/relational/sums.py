"""Adding lanes, and counts of items: running sums at the ends of what rows see and of what their windows leave out."""

from collections.abc import Mapping, Sequence
from typing import Any

from sixfold.engines.relational.relations import Relation, known, null, shifted, so_far, union
from sixfold.features.store import NEUTRAL

__all__ = ["keyed_by", "occurrences", "repairs", "running", "while_alive", "with_ends"]


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
    theirs, mine = known(events, keys), known(asks.filter(asks["place"] > 0), keys)
    both = union(
        [
            theirs.select(*keys, position=theirs["offset"] * 2 + 1, question=null(), **merged),
            mine.select(*keys, "question", position=mine["place"] * 2, **nothing),
        ]
    )
    upto = so_far(keys, "position")
    sums = {n: (both[n].sum() if adds else both[n].max()).over(upto) for n, (_, adds) in lanes.items()}
    told = both.select("question", *carry, **sums)
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
    theirs = known(events, keys).select(*keys, "offset", **lanes)
    off = late.join(theirs, late["offset"] == theirs["offset"])
    signed = {name: off[name] * off["sign"] for name in lanes}
    off = off.select(*keys, "hop", "level", "block", event="offset", **signed)
    mine = known(asks, keys).join(levels, "hop")
    mine = mine.select(*keys, "hop", "level", "stop", "question", "low")
    mine = mine.mutate(block=shifted(mine["low"], mine["level"]))
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
    theirs = known(events, [*keys, item])
    pairs = theirs.group_by([*keys, item]).aggregate(first=theirs["offset"].min())
    asked = known(asks, keys).join(pairs, list(keys))
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
    both = union(parts)
    counts = both.group_by(["id", item]).aggregate(n=both["n"].sum())
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
    both = known(asks, keys).join(known(theirs, [*keys, *carry]), list(keys))
    both = both.filter([both["event"] < both["stop"], both["until"] >= both["stop"], both["at"] < both["since"]])
    both = both.group_by(["question", *carry])
    return both.aggregate(
        **{n: (lambda t, n=n, adds=adds: t[n].sum() if adds else t[n].max()) for n, (_, adds) in lanes.items()}
    )

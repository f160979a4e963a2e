"""Maxima over windows, which cannot be differences: ranges of offsets cut into blocks."""

from collections.abc import Mapping, Sequence
from typing import Any

from sixfold.engines.relational.relations import Relation, known, null, number, shifted, so_far, union
from sixfold.features.store import NEUTRAL

__all__ = ["alive_maxima", "late_maxima", "range_maxima"]


def late_maxima(
    events: Relation,
    late: Relation,
    levels: Relation,
    asking: tuple[Relation, str],
    keys: Sequence[str],
    *,
    lanes: Sequence[str],
) -> Relation:
    """The greatest of the events off time below a row's offset whose tile is at least the lowest; `asking` has both.

    Which events are seen is a prefix of the key's late ones, and that is made of blocks of 2**level of them, one for
    each bit of its length (Fenwick 1994); in a block events and rows are put in order of falling tiles. So a hot key
    costs n log n. Every `question` (a row's id) is given once for each block.
    """
    spine, low = asking
    theirs = known(events, keys).select(*keys, "offset", *lanes)
    off = late.join(theirs, late["offset"] == theirs["offset"])
    nothing = {"tile": null(), **dict.fromkeys(lanes, number(NEUTRAL))}
    off = off.select(*keys, "offset", "tile", *lanes)
    off = off.select(*keys, "tile", *lanes, position=off["offset"] * 2 + 1, event="offset", question=null(), low=null())
    mine = known(spine, keys)
    rows = mine.select(*keys, position=mine["stop"] * 2, event=null(), question="id", low=low, **nothing)
    both = union([off.select(*sorted(off.columns)), rows.select(*sorted(off.columns))])
    both = both.mutate(place=both["event"].count().over(so_far(keys, "position")))
    both = both.filter(both["place"] > 0).drop("position").cross_join(levels)
    is_event = both["event"].notnull()
    both = both.mutate(block=shifted(both["place"] - is_event.cast("int64"), both["level"]))
    wanted = (both["block"] & 1) == is_event.ifelse(number(0), number(1))
    both = both.filter(wanted)
    is_event = both["event"].notnull()
    position = is_event.ifelse(both["tile"] * -2, both["low"] * -2 + 1)
    both = both.mutate(position=position, block=both["block"] - is_event.ifelse(number(0), number(1)))
    falling = so_far([*keys, "level", "block"], "position")
    told = both.select("question", **{name: both[name].max().over(falling) for name in lanes})
    return told.filter(told["question"].notnull())


def alive_maxima(dead: Relation, spine: Relation, since: str, keys: Sequence[str], *, lanes: Sequence[str]) -> Relation:
    """The greatest of the events from the instant `since` on that are retracted only after the row's offset."""
    theirs = known(dead, keys).select(*keys, "at", "until", *lanes, event="offset")
    both = known(spine, keys).select(*keys, "stop", since=since, question="id").join(theirs, list(keys))
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
    inside = known(spine.semi_join(levels, spine[f"level_{cut}"] == levels["level"]), keys)
    second, level = inside[f"next_{cut}"], inside[f"level_{cut}"]
    asked = [
        inside.select(*keys, level=level, block=block, position=position, question="id", **nothing)
        for block, position in ((second, inside["stop"] * 2), (second - 1, inside[f"from_{cut}"] * -2))
    ]
    theirs = known(events, keys).select(*keys, "offset", **lanes).cross_join(levels)
    theirs = theirs.mutate(block=shifted(theirs["offset"], theirs["level"]), position=theirs["offset"] * 2 + 1)
    theirs = theirs.semi_join(union(asked).select(*keys, "level", "block"), [*keys, "level", "block"])
    position = ibis.ifelse(theirs["block"] & 1 == 1, theirs["position"], -theirs["position"])
    wanted = theirs.select(*keys, "level", "block", position=position, question=null(), **{n: theirs[n] for n in lanes})
    both = union([wanted, *asked])
    upto = so_far([*keys, "level", "block"], "position")
    told = both.select("question", **{name: both[name].max().over(upto) for name in lanes})
    return told.filter(told["question"].notnull())

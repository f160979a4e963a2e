"""Histories told in words, so that a fault can be checked by hand by somebody who has never seen the machinery."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from sixfold._core.times import DAY, SECOND
from sixfold.data.events import Events, Field
from sixfold.data.expr import Literal, Op, leaves
from sixfold.features.definitions import Aggregate, Computed, Feature, Recent, Request
from sixfold.features.featureset import FeatureSet
from sixfold.frame import Entity
from sixfold.testing.histories import START, STREAMS, Case, Fact, Moment

__all__ = ["clock", "described", "told"]

_VERBS = {"meta": "video {video} is described", "watch": "user {user} watched video {video}"}
_VERBS["search"] = "user {user} searched for {term!r}"


def told(case: Case, features: FeatureSet, marks: Mapping[int, str]) -> list[str]:
    """One line for each event and each question, with only what the features look at.

    `marks` says what was done once so many events were in. Times count from the start of the history.
    """
    used = {(field.events.name, field.name) for field in _fields_of(features)}
    lines, now, n, clocks = [], START, 0, [START]
    for fact in case.facts:
        if fact.again:
            continue
        lines += [f"   -- {marks[n]} --"] if n in marks else []
        now, n = now + fact.gap, n + 1
        clocks.append(now)
        said = _event(fact, STREAMS[fact.stream], now, used)
        if fact.undoes:
            said = f"event {max(n - fact.undoes, 1)} is taken back, arrived {clock(now)}"
        lines.append(f"{n:2}. {said}")
    lines += [f"   -- {marks[n]} --"] if n in marks else []
    asked = [(moment, clocks[min(moment.seen, n)]) for moment in case.moments]
    return lines + [f" ?  {_question(moment, features, now)}" for moment, now in asked]


def described(feature: Feature) -> str:
    """A definition in words.

    >>> from sixfold.testing.histories import EVERYTHING
    >>> described(EVERYTHING["count_watch_by_user_7d"]), described(EVERYTHING["sequence_watch_tab_by_user"])
    ('count of watch by user over 7d', 'newest 2 of watch.tab by user')
    """
    if isinstance(feature, Request):
        return f"the request's field {feature.name}"
    if isinstance(feature, Computed):
        return "from " + ", ".join(dict.fromkeys(getattr(leaf, "name", "") for leaf in leaves(feature.expr)))
    value = getattr(feature, "value", None)
    text = f"{_kind(feature)} of {feature.stream.name if value is None else _said(value)}"  # type: ignore[attr-defined]
    by = [part.name if isinstance(part, Entity) else _said(part) for part in feature.by]  # type: ignore[attr-defined]
    text += " by " + (" x ".join(by) or "everything")
    if isinstance(feature, Aggregate):
        text += f" with half-life {feature.over}" if feature.decays else f" over {feature.over}"
    where = getattr(feature, "where", None)
    return text if where is None else f"{text} where {_said(where)}"


def _kind(feature: Feature) -> str:
    if isinstance(feature, Recent):
        return "first" if feature.oldest else "last" if feature.single else f"newest {feature.n}"
    return str(getattr(feature, "kind", type(feature).__name__.lower()))


def clock(at: int) -> str:
    """An instant of a history: hours and minutes since its start, with days and seconds where there are some.

    >>> clock(START + 5 * 60 * SECOND), clock(START + 40 * DAY + 1), clock(START - 60 * SECOND)
    ('0:05', 'day 40, 0:00:00.000001', 'day -1, 23:59')
    """
    days, rest = divmod(at - START, DAY)
    seconds, micros = divmod(rest, SECOND)
    text = f"{seconds // 3600}:{seconds // 60 % 60:02}"
    if seconds % 60 or micros:
        text += f":{seconds % 60:02}" + (f".{micros:06}" if micros else "")
    return f"day {days}, {text}" if days else text


def _said(node: Any) -> str:
    if isinstance(node, Op):
        return f"{node.name}({', '.join(map(_said, node.args))})"
    return (
        repr(node.value)
        if isinstance(node, Literal)
        else getattr(node, "name", "")
        if isinstance(node, Entity)
        else repr(node)
    )


def _event(fact: Fact, stream: Events, arrived: int, used: set[tuple[str, str]]) -> str:
    said = _VERBS[stream.name].format(user=fact.user, video=fact.video, term=fact.text)
    when = f"at {clock(arrived - fact.lag)}" + (f", arrived {clock(arrived)}" if fact.lag else "")
    values = {int: fact.whole, float: fact.number, bool: fact.flag, str: fact.text}
    shown = [f"{name} {_text(values[kind])}" for name, kind in stream.fields.items() if (stream.name, name) in used]
    return f"{said} {when}" + (": " + ", ".join(shown) if shown else "")


def _question(moment: Moment, features: FeatureSet, now: int) -> str:
    keys = {"user": moment.user, "video": moment.video, "term": moment.term}
    about = [f"{entity.name} {keys[entity.name]!r}" for entity in features.entities]
    given = {"tab": moment.tab, "score": moment.score}
    about += [f"{name} {_text(value)}" for name, value in given.items() if name in _names(features)]
    return f"asked at {clock(now + moment.wait)} about {', '.join(about) or 'everything'}"


def _text(value: Any) -> str:
    return {None: "unknown", True: "yes", False: "no"}.get(value, repr(value)) if _plain(value) else repr(value)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _names(features: FeatureSet) -> set[str]:
    return {feature.name for feature in features.primitives}


def _fields_of(node: Any) -> Iterator[Field]:
    """Every field that definitions look at, those behind crossed keys included."""
    if isinstance(node, Field):
        yield node
    elif isinstance(node, FeatureSet):
        for feature in node.primitives:
            yield from _fields_of(feature)
    elif isinstance(node, tuple):
        for part in node:
            yield from _fields_of(part)
    elif is_dataclass(node) and not isinstance(node, type | Events | Entity):
        for part in fields(node):
            yield from _fields_of(getattr(node, part.name))

"""From a prefix of the log to what models learn from: labelled impressions, and interactions with a catalogue."""

from collections.abc import Mapping, Sequence

import numpy as np

from sixfold._core.errors import DataError, DefinitionError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Array, Table, column
from sixfold.data.calendar import Calendar
from sixfold.data.events import Events, field_values
from sixfold.data.labels import Label, label_values
from sixfold.data.retraction import living
from sixfold.features.backfill import offsets_as_known
from sixfold.features.batch import as_of
from sixfold.features.definitions import Recent
from sixfold.features.featureset import FeatureSet, needs
from sixfold.features.recents import attribute
from sixfold.frame import Entity
from sixfold.models.catalogue import Catalogue
from sixfold.models.contract import Dataset, Interactions

__all__ = ["build_dataset", "build_interactions", "catalog", "known_keys", "offset_at", "served_points"]

History = Mapping[str, Table]


def offset_at(history: History, instant: int) -> int:
    """The first offset that a prefix ending at `instant` does not contain: all smaller offsets arrived before it."""
    stops = [0]
    for table in history.values():
        n_before = int(np.searchsorted(table["arrived"], instant, side="left"))
        if n_before:
            stops.append(int(table["offset"][n_before - 1]) + 1)
    return max(stops)


def served_points(impressions: Table, decisions: Table | None) -> Table:
    """The impressions with `at` and `offset` of the decision that made them, where we made it.

    An impression names its decision by id in the column `decision`; any other stands for its own moment in the log.
    """
    if decisions is None or "decision" not in impressions:
        return impressions
    row_of = {key: i for i, key in enumerate(decisions["id"].tolist())}
    rows = np.array([row_of.get(key, -1) for key in impressions["decision"].tolist()], np.int64)
    made = rows >= 0
    at, offset = impressions["at"].copy(), impressions["offset"].copy()
    at[made] = decisions["at"][rows[made]]
    offset[made] = decisions["as_of"][rows[made]]
    return impressions.with_columns({"at": at, "offset": offset})


def build_dataset(
    features: FeatureSet,
    labels: Sequence[Label],
    history: History,
    *,
    within: tuple[int, int],
    now: int,
    item: Entity | None = None,
    utc_offset_s: int = 0,
) -> Dataset:
    """The mature, labelled impressions with `within[0] <= at < within[1]`, features as of each of them.

    A row is left out while any of its labels may still change, that is until `now` >= at + the slowest maturity.
    Impressions and outcomes that `history` says are retracted do not count.
    `item` is what is chosen among: features without it are the same for all candidates of a request. The rows of a
    calendar are those of the origins in that time, which are midnights where local time is `utc_offset_s` ahead.
    Raises DataError if no row is left.
    """
    stream = labels[0].of
    if isinstance(stream, Calendar):
        origins = stream.origins(within, utc_offset_s)
        known = offsets_as_known(history, origins, lag="0s")
        impressions = stream.rows(history, origins, known, utc_offset_s=utc_offset_s)
    else:
        impressions = living(history, history.get(stream.name, Table({})))
    ripe = now - max(label.maturity for label in labels)
    if impressions:
        at = impressions["at"]
        impressions = impressions.take((at >= within[0]) & (at < within[1]) & (at <= ripe))
    if not impressions:
        raise DataError(
            f"no mature {stream.name!r} events in the training range",
            hint="ingest more history, or shorten the split or the maturity of the labels",
        )
    values, weights = label_values(labels, impressions, history)
    spine = served_points(impressions, history.get("decision"))
    table = as_of(features, history, spine)
    name = fingerprint(features.spec(), [label.spec() for label in labels], spine["offset"], spine["at"], values)
    binary = frozenset(label.name for label in labels if label.binary)
    shared = frozenset(feature.name for feature in features if item is not None and item not in needs(feature))
    return Dataset(table, values, weights, spine, binary, name, shared)


_HISTORY_ROWS = 65_536

UNSATISFIED = 0.5
"""What a consumption that did not satisfy weighs beside one that did: on short videos the best of 0, 0.5 and 1."""


def build_interactions(
    satisfied: Label, consumed: Recent, history: History, *, item: Entity, per: Entity, upto: int, items: Table
) -> Interactions:
    """Every consumption before `upto`, as `consumed` counts them, with what the user had consumed before it.

    `consumed` is the sequence feature that the service will give the retriever; `items` is the catalogue. Raises
    DataError if no consumption made `satisfied` true, DefinitionError if the label is about another stream.
    """
    outcome = satisfied.outcome
    if consumed.stream is not outcome:
        raise DefinitionError([
            f"retrievers learn {satisfied.name!r} from {outcome.name!r} events, but their history {consumed.name!r} "
            f"is made of {consumed.stream.name!r} events: use one stream for both"
        ])  # fmt: skip
    events = living(history, history.get(outcome.name, Table({})), offset_at(history, upto))
    if events:
        counted = (events["at"] < upto) & (events["arrived"] < upto)
        if consumed.where is not None:
            counted &= field_values(consumed.where, events).astype(np.bool_)
        events = events.take(counted)
    happened = field_values(satisfied.expr, events).astype(np.bool_) if events else np.zeros(0, np.bool_)
    if not happened.any():
        raise DataError(
            f"nobody was satisfied: no {outcome.name!r} event before the cut makes {satisfied.name!r} true",
            hint="check the label, or ingest more history",
        )
    histories = _histories(consumed, history, events, Catalogue(items["item"]))
    weight = np.ones(len(events))
    if satisfied.weight is not None:
        weight = np.nan_to_num(field_values(satisfied.weight, events).astype(np.float64))
    columns = {"user": events[per.name], "item": events[item.name], "at": events["at"], "satisfied": happened}
    table = Table({**columns, "weight": np.where(happened, weight, UNSATISFIED * weight)})
    name = fingerprint(satisfied.spec(), consumed.spec(), events["offset"], items["item"])
    return Interactions(table, histories, items, name)


def _histories(consumed: Recent, history: History, events: Table, catalogue: Catalogue) -> Array:
    """What each event's user had consumed before it, as rows of the catalogue: a sixth of what keys and a copy take."""
    out = np.empty((len(events), consumed.n), np.int32)
    needed = {name: history[name] for name in FeatureSet(consumed).follows if name in history}
    for start in range(0, len(events), _HISTORY_ROWS):
        some = slice(start, start + _HISTORY_ROWS)
        out[some] = catalogue.rows(as_of(FeatureSet(consumed), needed, events.take(some))[consumed.name])
    return out


def known_keys(history: History, streams: Sequence[Events], entity: Entity, offset: int) -> Array:
    """Every key of `entity` that an event before `offset` names, sorted."""
    keys = []
    for stream in streams:
        table = history.get(stream.name)
        if table is not None and entity in stream.keys:
            keys.append(table[entity.name][: int(table["offset"].searchsorted(offset))])
    values = sorted(set(np.concatenate(keys).tolist())) if keys else []
    return column(values, entity.key)


def catalog(streams: Sequence[Events], history: History, *, item: Entity, at: int) -> Table:
    """All items known at `at`, and what the streams about items alone said of them by then, a column for each field."""
    offset = offset_at(history, at)
    keys = known_keys(history, streams, item, offset)
    about = [stream for stream in streams if stream.keys == (item,)]
    fields = FeatureSet([attribute(getattr(stream, name)) for stream in about for name in stream.fields])
    spine = Table({item.name: keys, "at": np.full(len(keys), at), "offset": np.full(len(keys), offset)})
    return Table({"item": keys, **(as_of(fields, history, spine) if len(fields) else {})})

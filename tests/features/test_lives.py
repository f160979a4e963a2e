"""Retracted events in batch: small enough to check by hand, and the pieces that a life is cut into."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sixfold import features as f
from sixfold._core.table import Table, column
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.retraction import NEVER, ends
from sixfold.features import FeatureSet, as_of
from sixfold.features.lives import Lives
from sixfold.frame import Entity

user, video = Entity("user"), Entity("video")
watch = Events("watch", keys=(user, video), fields={"share": float})
meta = Events("meta", keys=(video,), fields={"topic": str})

WATCHES = Table(
    {
        "offset": np.array([1, 2, 4]),
        "at": np.full(3, DAY),
        "user": np.full(3, 7),
        "video": np.full(3, 5),
        "share": np.array([0.25, 1.0, 0.5]),
    }
)
STATED = Table({"offset": np.array([0]), "at": np.array([DAY]), "video": np.array([5]), "topic": column(["a"], str)})


def asked(offsets: list[int]) -> Table:
    n = len(offsets)
    return Table({"at": np.full(n, DAY), "offset": np.array(offsets), "user": np.full(n, 7), "video": np.full(n, 5)})


def retracted(*pairs: tuple[int, int]) -> Table:
    offset, target = np.array(pairs).T
    return Table({"offset": offset, "target": target})


def test_an_event_counts_until_its_retraction_and_not_after() -> None:
    features = FeatureSet(
        f.count(watch, by=user, over="1h").named("n"),
        f.max(watch.share, by=user, over="1h").named("max"),
        f.last(watch.share, by=user).named("last"),
        f.sequence(watch, by=user, of=watch.share, last=2).named("two"),
    )
    history = {"watch": WATCHES, "retraction": retracted((3, 2))}
    table = as_of(features, history, asked([2, 3, 4, 5]))
    assert table["n"].tolist() == [1, 2, 1, 2]
    assert table["max"].tolist() == [0.25, 1.0, 0.25, 0.5]
    assert table["last"].tolist() == [0.25, 1.0, 0.25, 0.5]
    assert np.array_equal(table["two"], [[np.nan, 0.25], [0.25, 1.0], [np.nan, 0.25], [0.25, 0.5]], equal_nan=True)


def test_an_event_keeps_the_key_it_had_though_what_gave_it_is_retracted() -> None:
    features = FeatureSet(f.count(watch, by=meta.topic, over="1h").named("n"), f.attribute(meta.topic))
    history = {"watch": WATCHES, "meta": STATED, "retraction": retracted((3, 0))}
    table = as_of(features, history, asked([3, 4, 5]))
    assert table["topic"].tolist() == ["a", None, None]
    assert table["n"].tolist() == [2, 0, 0]  # the third watch came under no topic
    again = {**history, "meta": Table.concat([STATED, STATED.with_columns({"offset": np.array([5])})])}
    assert as_of(features, again, asked([6]))["n"].tolist() == [2]


def test_a_second_retraction_and_one_of_another_stream_change_nothing() -> None:
    assert ends({"retraction": retracted((3, 0), (5, 9))}, WATCHES) is None
    found = ends({"retraction": retracted((3, 2), (5, 2))}, WATCHES)
    assert found is not None
    assert found.tolist() == [NEVER, 3, NEVER]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 60), st.booleans()), min_size=1, max_size=30))
def test_the_pieces_of_all_lives_are_the_lives(lives: list[tuple[int, int, bool]]) -> None:
    offsets = np.array(sorted(begin for begin, _, _ in lives))
    until = np.array([a + more if ends else NEVER for a, (_, more, ends) in zip(offsets.tolist(), lives, strict=True)])
    if (until == NEVER).all():
        return
    pieces, moments = Lives(offsets, until), np.arange(125)
    seen = np.zeros((len(offsets), len(moments)), np.int64)
    for level, events, nodes in pieces.pieces():
        assert nodes.max() < pieces.n_nodes(level)
        assert len(set(events.tolist())) == len(events)
        seen[events] += (pieces.places(moments) >> level)[None] == nodes[:, None]
    expected = (moments > offsets[:, None]) & (moments <= until[:, None]) & ~pieces.lasting[:, None]
    assert np.array_equal(seen, expected)

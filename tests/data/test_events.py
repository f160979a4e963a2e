"""Streams and their fields."""

import copy

import numpy as np
import pytest

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table
from sixfold.data.events import Events, Field, field_values, stream_of
from sixfold.data.expr import Expr
from sixfold.frame import Entity

user, page = Entity("user"), Entity("page", str)
view = Events("view", keys=(user, page), fields={"seconds": float, "tab": str})
other = Events("other", keys=(user,), fields={"n": int})


def test_columns_are_keys_then_fields() -> None:
    assert view.columns == {"user": int, "page": str, "seconds": float, "tab": str}
    assert view.spec() == ["events", "view", {"user": "int", "page": "str", "seconds": "float", "tab": "str"}]


def test_a_field_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"no field 'second'; it has seconds, tab"):
        view.second  # noqa: B018
    assert not hasattr(view, "user"), "a key is not a field"


def test_streams_are_values() -> None:
    again = Events("view", keys=(user, page), fields={"seconds": float, "tab": str})
    assert view == again and hash(view) == hash(again) and copy.deepcopy(view) == view and copy.copy(view) == view
    assert view != Events("view", keys=(user, page))


@pytest.mark.parametrize(
    ("fields", "keys", "problem"),
    [
        ({"at": int}, (user,), "reserved"),
        ({"offset": int}, (user,), "reserved"),
        ({"keys": int}, (user,), "reserved"),
        ({"columns": int}, (user,), "reserved"),
        ({"spec": int}, (user,), "reserved"),
        ({"user": int}, (user,), "used twice"),
        ({}, (user, user), "used twice"),
        ({"x": bytes}, (user,), "use int, float, bool or str"),
        ({"a b": int}, (user,), "plain identifier"),
        ({"__x": int}, (user,), "plain identifier"),
        ({}, (), "no keys"),
    ],
)
def test_bad_definitions_are_refused(fields: dict[str, type], keys: tuple[Entity, ...], problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        Events("view", keys=keys, fields=fields)


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(DefinitionError) as caught:
        Events("a b", keys=(), fields={"at": int, "x": bytes})
    assert len(caught.value.problems) == 4


def test_fields_know_their_kind() -> None:
    assert view.seconds.kind is float and not view.seconds.is_bool
    assert isinstance(view.tab, Field) and view.tab.is_text and repr(view.tab) == "view.tab"


def test_an_expression_over_two_streams_has_no_stream() -> None:
    assert stream_of(view.seconds > 1) == view
    with pytest.raises(DefinitionError, match="found: other, view"):
        stream_of(view.seconds > other.n)


def test_field_values() -> None:
    table = Table({"seconds": np.array([1.0, np.nan, 3.0]), "tab": np.array(["a", None, "b"], object)})
    assert field_values(view.seconds >= 1, table).tolist() == [True, False, True]
    assert field_values(view.tab, table) is table["tab"]


def test_leaves_that_are_no_fields_are_refused() -> None:
    with pytest.raises(DefinitionError, match="made of fields"):
        field_values(Expr() + view.seconds, Table({"seconds": np.array([1.0])}))

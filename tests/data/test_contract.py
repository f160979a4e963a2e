"""Contracts are checked when they are written."""

from typing import Any

import pytest

from sixfold._core.errors import DefinitionError
from sixfold.data.contract import Contract
from sixfold.data.events import Events
from sixfold.frame import Entity

user = Entity("user")
view = Events("view", keys=(user,), fields={"seconds": float})
other = Events("other", keys=(user,), fields={"seconds": float})


@pytest.mark.parametrize(
    ("checks", "problem"),
    [
        ({}, "checks nothing"),
        ({"": view.seconds > 0}, "has no name"),
        ({"a": view.seconds}, "must be true or false"),
        ({"a": True}, "must be true or false"),
        ({"a": other.seconds > 0}, "fields of that stream"),
        ({"a": view.seconds > other.seconds}, "fields of that stream"),
    ],
)
def test_contradictions_are_refused(checks: Any, problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        Contract(view, checks)

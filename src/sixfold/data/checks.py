"""What a value of an event must be: one rule per type, as a plain check and as a compiled one for whole rows.

Types are strict, as JSON has them: true is not 1 and "1" is not 1, but a whole number may stand for a number.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any

import msgspec

from sixfold._core.errors import InputError
from sixfold._core.times import instant
from sixfold.data.events import Events

__all__ = ["MAX_ID", "MAX_TEXT", "Problem", "Rule", "row_problem", "row_type", "rules_of", "value_problem"]

MAX_TEXT = 32_768
MAX_ID = 256
_INT = 2**63

Rule = str
"""How a column is checked: "id", "time", "int key", "str key", or the name of a field's type."""

Problem = tuple[str, str]
"""What was expected, and what was found."""

_WANTED: Mapping[Rule, str] = {
    "id": f"a text of 1 to {MAX_ID} characters",
    "time": "microseconds since 1970 or an ISO 8601 text",
    "int key": "a whole number from 0 on",
    "str key": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
}


def rules_of(events: Events) -> dict[str, Rule]:
    """The rule of each column that a row of the stream has."""
    keys = {key.name: f"{key.key.__name__} key" for key in events.keys}
    return {"id": "id", "at": "time", **keys, **{name: kind.__name__ for name, kind in events.fields.items()}}


def value_problem(name: str, rule: Rule, value: Any) -> Problem | None:
    """What is wrong with a value of a column, or None.

    >>> value_problem("share", "float", "abc")
    ("field 'share': expected a number", "'abc'")
    >>> value_problem("share", "float", None), value_problem("share", "float", 1)
    (None, None)
    """
    if value is None and rule in ("float", "str"):
        return None
    if rule in ("int", "int key", "float", "time") and type(value) in (int, float):
        limits = _number_problem(rule, value)
    elif rule == "bool" and type(value) is bool:
        return None
    elif rule in ("id", "str", "str key", "time") and type(value) is str:
        limits = _text_problem(rule, value)
    else:
        limits = (_WANTED[rule], "nothing" if value is None else short(value))
    return limits and (f"field {name!r}: expected {limits[0]}", limits[1])


def _number_problem(rule: Rule, value: float) -> Problem | None:
    if rule == "float":
        return ("a finite number", str(value)) if type(value) is float and not isfinite(value) else _fits_float(value)
    if type(value) is float or (rule != "int" and value < 0):
        return _WANTED[rule], str(value)
    return None if -_INT <= value < _INT else ("a whole number of at most 64 bits", short(value))


def _fits_float(value: float) -> Problem | None:
    try:
        float(value)
    except OverflowError:
        return "a number within 1.8e308", f"one of {int(value).bit_length()} bits"
    return None


def _text_problem(rule: Rule, value: str) -> Problem | None:
    limit = MAX_ID if rule == "id" else MAX_TEXT
    if len(value) > limit:
        return f"at most {limit} characters", str(len(value))
    try:
        value.encode()
        if rule == "time" and not 0 <= instant(value) < _INT:
            return "a time from 1970 on", short(value)
    except UnicodeEncodeError:
        return "valid Unicode", short(value)
    except (InputError, OverflowError):
        return _WANTED[rule], short(value)
    return (_WANTED[rule], "''") if rule == "id" and not value else None


def short(value: Any) -> str:
    """The value as text of at most 60 characters."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**60 else f"{value.bit_length()} bits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def row_problem(rules: Mapping[str, Rule], row: Any) -> Problem | None:
    """What is wrong with a row of JSON values, or None; the first problem in order of the columns."""
    if not isinstance(row, dict):
        return "expected an object of fields", short(row)
    for name, rule in rules.items():
        if problem := value_problem(name, rule, row.get(name)):
            return problem
    extra = [name for name in row if name not in rules]
    return (f"field {extra[0]!r} is not declared", "") if extra else None


def row_type(rules: Mapping[str, Rule]) -> type[msgspec.Struct]:
    """A struct that accepts the rows that `row_problem` accepts, except that it leaves times and Unicode to its caller.

    Its fields are in the order of `rules`.
    """
    whole, key = (Annotated[int, msgspec.Meta(ge=low, le=_INT - 1)] for low in (-_INT, 0))
    number = Annotated[float, msgspec.Meta(ge=-1.7976931348623157e308, le=1.7976931348623157e308)]
    text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
    named = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    types: dict[Rule, Any] = {"id": named, "time": key | text, "int key": key, "str key": text}
    types |= {"int": whole, "float": number | None, "bool": bool, "str": text | None}
    fields = [
        (f"c{i}", types[rule], None) if rule in ("float", "str") else (f"c{i}", types[rule])
        for i, rule in enumerate(rules.values())
    ]
    names = {f"c{i}": name for i, name in enumerate(rules)}
    return msgspec.defstruct("Row", fields, rename=names, forbid_unknown_fields=True, kw_only=True, gc=False)

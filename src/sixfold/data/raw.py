"""Raw tables: whole columns of whatever a source gave, made into typed columns and the rows that cannot be."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.table import Array, Table, column
from sixfold._core.times import instant
from sixfold.data.checks import MAX_ID, MAX_TEXT, Problem, Rule, value_problem

__all__ = ["typed"]

_KINDS: Mapping[Rule, type] = {"id": str, "str key": str, "time": int, "int key": int}
_TYPES: Mapping[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_MISSING: Mapping[type, Any] = {int: 0, float: np.nan, bool: False, str: None}


def typed(stream: str, table: Table, rules: Mapping[str, Rule]) -> tuple[Table, dict[int, Problem]]:
    """The columns of `rules` in their types, and what is wrong with each bad row, whose values there are arbitrary.

    A column that may be missing may be left out. Raises InputError if another is left out, or one is not declared.
    """
    if extra := [name for name in table if name not in rules]:
        raise InputError(
            f"stream {stream!r}: columns {extra} are not declared", hint=f"it has the columns {', '.join(rules)}"
        )
    absent = [name for name, rule in rules.items() if name not in table]
    if needed := [name for name in absent if rules[name] not in ("float", "str")]:
        raise InputError(f"stream {stream!r}: the table lacks the columns {needed}, which cannot be missing")
    problems: dict[int, Problem] = {}
    columns = {}
    for name, rule in rules.items():
        kind = _kind(rule)
        if name in absent:
            columns[name] = np.full(table.n_rows, _MISSING[kind], object if kind is str else float)
        else:
            columns[name], bad = _typed(name, rule, kind, table[name])
            problems = {**bad, **problems}
    return Table(columns, n_rows=table.n_rows), problems


def _kind(rule: Rule) -> type:
    return _KINDS[rule] if rule in _KINDS else _TYPES[rule]


def _typed(name: str, rule: Rule, kind: type, values: Array) -> tuple[Array, dict[int, Problem]]:
    if values.ndim != 1:
        raise InputError(f"column {name!r} has {values.ndim} dimensions, expected one value a row")
    if kind is float and values.dtype.kind in "iuf":
        return _checked(name, rule, values, np.isinf(values), lambda v: v.astype(np.float64, copy=False))
    if kind is int and values.dtype.kind in "iuf":
        bad = (values < (-(2.0**63) if rule == "int" else 0)) | (values >= 2.0**63) | (np.floor(values) != values)
        return _checked(name, rule, values, bad | np.isnan(values), lambda v: v.astype(np.int64, copy=False))
    if kind is bool and values.dtype.kind == "b":
        return values, {}
    items = values.tolist()
    types = set(map(type, items))
    if kind is str and types <= {str, type(None)} and _plain_texts(rule, items):
        return values.astype(object, copy=False), {}
    return _one_by_one(name, rule, kind, items)


def _checked(
    name: str, rule: Rule, values: Array, bad: Array, convert: Callable[[Array], Array]
) -> tuple[Array, dict[int, Problem]]:
    if not bad.any():
        return convert(values), {}
    problems = {row: _problem(name, rule, values[row]) for row in np.flatnonzero(bad).tolist()}
    return convert(np.where(bad, 0, values).astype(values.dtype)), problems


def _problem(name: str, rule: Rule, value: Any) -> Problem:
    found = value_problem(name, rule, _plain(rule, value))
    assert found is not None, f"column {name!r}: the check of columns refused {value!r}, the check of values did not"
    return found


def _plain(rule: Rule, item: Any) -> Any:
    """An element of a column as JSON would have it: NaN is missing, and a whole float where an int belongs is one."""
    value = item.item() if isinstance(item, np.generic) else item
    if isinstance(value, float) and np.isnan(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() and _kind(rule) is int else value


def _plain_texts(rule: Rule, items: list[str | None]) -> bool:
    texts = [text for text in items if text is not None]
    if rule != "str" and (len(texts) < len(items) or (rule == "id" and not all(texts))):
        return False
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return False
    return max(map(len, texts), default=0) <= (MAX_ID if rule == "id" else MAX_TEXT)


def _one_by_one(name: str, rule: Rule, kind: type, items: list[Any]) -> tuple[Array, dict[int, Problem]]:
    """The slow way, for columns with damaged values."""
    problems: dict[int, Problem] = {}
    clean: list[Any] = []
    for row, item in enumerate(items):
        value = _plain(rule, item)
        problem = value_problem(name, rule, value)
        if problem:
            problems[row] = problem
            value = _MISSING[kind]
        elif rule == "time" and isinstance(value, str):
            value = instant(value)
        clean.append(value)
    return column(clean, kind), problems

"""The semantics that data/expr.py states, against plain Python on one row at a time."""

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold._core.errors import DefinitionError
from sixfold._core.table import Table, column
from sixfold.data.events import Events, Field, field_values
from sixfold.data.expr import Expr, Literal, Op, compiled, evaluate, if_else, leaves, maximum, minimum
from sixfold.frame import Entity

user = Entity("user")
facts = Events("facts", keys=(user,), fields={"x": float, "y": float, "n": int, "flag": bool, "s": str, "t": str})

floats = st.floats(allow_nan=True, allow_infinity=True) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e308])
texts = st.none() | st.sampled_from(["", "a", "b", "ü"])
rows = st.fixed_dictionaries(
    {"x": floats, "y": floats, "n": st.integers(-(2**63), 2**63 - 1), "flag": st.booleans(), "s": texts, "t": texts}
)


def table_of(items: list[dict[str, Any]]) -> Table:
    return Table({name: column([item[name] for item in items], kind) for name, kind in facts.fields.items()})


def missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def arithmetic(name: str, a: float, b: float) -> float:
    with np.errstate(all="ignore"):
        left, right = np.float64(a), np.float64(b)
        if name == "div":
            return math.nan if b == 0 else float(left / right)
        return float({"add": left + right, "sub": left - right, "mul": left * right}[name])


def comparison(name: str, a: Any, b: Any) -> bool:
    if missing(a) or missing(b):
        return False
    return {"eq": a == b, "ge": a >= b, "gt": a > b, "le": a <= b, "lt": a < b}[name]


def truth(value: Any) -> bool:
    return not missing(value) and bool(value)


def coarse(value: float) -> float:
    if not math.isfinite(value) or value == 0:
        return value
    power = math.floor(math.log2(abs(value))) - 7
    exact = Fraction(abs(value)) / Fraction(2) ** power
    while exact >= 256:
        power, exact = power + 1, exact / 2
    size = math.floor(exact + Fraction(1, 2)) * Fraction(2) ** power
    return math.copysign(math.inf if size >= 2**1024 else float(size), value) if abs(value) >= 2.0**-1022 else 0.0


def hashed(value: Any, n: int) -> float:
    if missing(value):
        return math.nan
    if not isinstance(value, str):
        value = f"{float(value):.0f}" if float(value).is_integer() else repr(float(value))
    return float(int(hashlib.md5(value.encode()).hexdigest()[:15], 16) % n)


def reference(expr: Expr, row: dict[str, Any]) -> Any:
    """One row at a time, as the module's docstring says it."""
    if isinstance(expr, Literal):
        return expr.value
    if isinstance(expr, Field):
        return row[expr.name]
    assert isinstance(expr, Op)
    args = [reference(arg, row) for arg in expr.args]
    if expr.name in ("add", "sub", "mul", "div"):
        return arithmetic(expr.name, float(args[0]), float(args[1]))
    if expr.name == "log1p":
        return math.log1p(args[0]) if args[0] > -1 else math.nan
    if expr.name == "log":
        return math.log(args[0]) if args[0] > 0 else math.nan
    if expr.name == "abs":
        return abs(float(args[0]))
    if expr.name in ("minimum", "maximum"):
        return (
            math.nan if missing(args[0]) or missing(args[1]) else float((min if expr.name == "minimum" else max)(args))
        )
    if expr.name == "if":
        return float(args[1] if truth(args[0]) else args[2])
    if expr.name == "buckets":
        return math.nan if missing(args[0]) else float(sum(args[0] >= edge for edge in args[1:]))
    if expr.name == "fill":
        return float(args[1] if missing(args[0]) else args[0])
    if expr.name == "coarse":
        return coarse(float(args[0]))
    if expr.name == "missing":
        return missing(args[0])
    if expr.name == "hash":
        return hashed(args[0], args[1])
    if expr.name == "and":
        return truth(args[0]) and truth(args[1])
    if expr.name == "or":
        return truth(args[0]) or truth(args[1])
    if expr.name == "not":
        return not truth(args[0])
    return comparison(expr.name, *args)


NUMBERS: list[Callable[[Expr, Any], Expr]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: a >= b,
    lambda a, b: a > b,
    lambda a, b: a <= b,
    lambda a, b: a < b,
    lambda a, b: a.equals(b),
    lambda a, b: a & b,
    lambda a, b: a | b,
]
TEXTS = NUMBERS[4:9]
NUMBERS += [minimum, maximum, lambda a, b: a.fill(b)]
SINGLES: list[Callable[[Expr], Expr]] = [
    lambda e: ~e,
    lambda e: -e,
    lambda e: abs(e),
    lambda e: e.log(),
    lambda e: e.coarse(),
    lambda e: e.log1p(),
    lambda e: e.clip(-1, 2.5),
    lambda e: e.buckets(-1, 0, 2.5),
]
ASKED: list[Callable[[Expr], Expr]] = [lambda e: e.is_missing(), lambda e: e.hash_bucket(7)]


def numbers(depth: int) -> st.SearchStrategy[Expr]:
    leaf = st.sampled_from([facts.x, facts.y, facts.flag]) | st.sampled_from([0.0, 2, True, -1.5]).map(Literal)
    if depth == 0:
        return leaf
    below = numbers(depth - 1)
    pairs = st.builds(lambda make, a, b: make(a, b), st.sampled_from(NUMBERS), below, below)
    words = st.sampled_from([facts.s, facts.t]) | st.sampled_from(["", "a"]).map(Literal)
    compared = st.builds(lambda make, a, b: make(a, b), st.sampled_from(TEXTS), words, words)
    either = words | below
    return (
        leaf
        | pairs
        | compared
        | st.builds(lambda make, a: make(a), st.sampled_from(SINGLES), below)
        | st.builds(if_else, below, below, below)
        | st.builds(lambda make, a: make(a), st.sampled_from(ASKED), either)
    )


@given(numbers(3), st.lists(rows, max_size=6))
def test_every_row_as_the_reference_says(expr: Expr, items: list[dict[str, Any]]) -> None:
    found = evaluate(expr, lambda leaf: table_of(items)[leaf.name], len(items))  # type: ignore[attr-defined]
    expected = [reference(expr, item) for item in items]
    assert found.shape == (len(items),)
    if isinstance(expr, Op):
        assert found.dtype == (np.bool_ if expr.is_bool else np.float64)
    for have, want in zip(found.tolist(), expected, strict=True):
        assert have == pytest.approx(want, rel=1e-15, nan_ok=True)


@given(numbers(3), st.lists(rows, min_size=1, max_size=4))
def test_compiled_is_evaluated(expr: Expr, items: list[dict[str, Any]]) -> None:
    table = table_of(items)
    names = list(table)
    run = compiled(expr, lambda leaf: names.index(leaf.name))  # type: ignore[attr-defined]
    found = np.broadcast_to(run([table[name] for name in names]), (len(items),))
    expected = evaluate(expr, lambda leaf: table[leaf.name], len(items))  # type: ignore[attr-defined]
    assert found.tolist() == pytest.approx(expected.tolist(), nan_ok=True)


@given(numbers(2), st.lists(rows, min_size=2, max_size=9))
def test_a_row_alone_has_the_bits_it_has_among_others(expr: Expr, items: list[dict[str, Any]]) -> None:
    together = field_values(expr, table_of(items))
    alone = np.concatenate([field_values(expr, table_of([item])) for item in items])
    assert together.tobytes() == alone.tobytes()


def test_buckets_conditions_and_what_is_missing_by_hand() -> None:
    items = {"x": [0.1, 0.2, 5.0, math.nan], "s": ["a", None, "b", "a"]}
    table = Table({"x": column(items["x"], float), "s": column(items["s"], str)})

    def found(expr: Expr) -> list[Any]:
        return field_values(expr, table).tolist()

    assert found(facts.x.buckets(0.2, 5))[:3] == [0, 1, 2]
    assert found(facts.x.fill(-1).clip(0, 1)) == [0.1, 0.2, 1, 0]
    assert found(if_else(facts.x > 0.15, facts.x * 10, -1)) == [-1, 2, 50, -1]
    assert found(facts.s.is_missing()) == [False, True, False, False]
    assert found(minimum(facts.x, 0.2))[:3] == [0.1, 0.2, 0.2]
    assert found(maximum(0.2, facts.x))[:3] == [0.2, 0.2, 5]


def test_hashes_are_those_that_any_other_program_finds() -> None:
    # md5("a") = 0cc175b9c0f1b6a8..., md5("7") = 8f14e45fceea167a...
    table = Table(
        {"s": column(["a", "7", None], str), "n": column([7, 7, 7], int), "x": column([7.0, -0.0, 0.0], float)}
    )
    by_text = field_values(facts.s.hash_bucket(1000), table).tolist()
    assert by_text[:2] == [0x0CC175B9C0F1B6A % 1000, 0x8F14E45FCEEA167 % 1000]
    assert math.isnan(by_text[2])
    assert field_values(facts.n.hash_bucket(1000), table).tolist() == [by_text[1]] * 3
    by_number = field_values(facts.x.hash_bucket(1000), table).tolist()
    assert by_number[0] == by_text[1]
    assert by_number[1] == by_number[2]


@pytest.mark.parametrize(
    "make",
    [
        lambda: facts.x.buckets(),
        lambda: facts.x.buckets(2, 1),
        lambda: facts.x.buckets(1, math.inf),
        lambda: facts.x.buckets(math.nan),
        lambda: facts.x.hash_bucket(0),
        lambda: facts.x.hash_bucket(2.5),  # type: ignore[arg-type]
        lambda: facts.s.fill("a"),
        lambda: facts.s.buckets(1),
        lambda: if_else(facts.flag, facts.s, "a"),
    ],
)
def test_what_makes_no_sense_is_refused_when_written(make: Callable[[], Expr]) -> None:
    with pytest.raises(DefinitionError):
        make()


@given(st.lists(rows, max_size=6))
def test_whole_numbers_compare_exactly(items: list[dict[str, Any]]) -> None:
    bound = 2**53 + 1  # float64 cannot tell it from its neighbour
    found = field_values(facts.n >= bound, table_of(items))
    assert found.tolist() == [item["n"] >= bound for item in items]


def test_one_row_stands_for_many_when_compiled() -> None:
    run = compiled(facts.x * 2 + facts.y, lambda leaf: "xy".index(leaf.name))  # type: ignore[attr-defined]
    assert run([np.array([1.0, 2.0]), np.array([10.0])]).tolist() == [12.0, 14.0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: facts.s + 1,
        lambda: facts.s.log1p(),
        lambda: facts.s & facts.flag,
        lambda: ~facts.s,
        lambda: facts.s >= 1,
        lambda: facts.x.equals("1"),
        lambda: "a" + facts.x,
    ],
)
def test_text_where_numbers_belong_is_refused_when_written(make: Callable[[], Expr]) -> None:
    with pytest.raises(DefinitionError, match="text can only be compared"):
        make()


class Unknown(Expr):
    """A leaf whose type shows only in its values."""

    name = "x"


@pytest.mark.parametrize("expr", [Unknown() + 1, ~Unknown(), Unknown() > 1])
def test_text_where_numbers_belong_is_refused_when_seen(expr: Expr) -> None:
    with pytest.raises(DefinitionError, match="text can only be compared"):
        evaluate(expr, lambda leaf: column(["a", None], str), 2)


def test_a_text_column_of_nothing_is_missing_everywhere() -> None:
    def nothing(leaf: Expr) -> Any:
        return column([None, None], str)

    assert np.isnan(evaluate(Unknown() + 1, nothing, 2)).all()
    assert not evaluate(Unknown() > 1, nothing, 2).any()
    assert not evaluate(Unknown().equals("a"), nothing, 2).any()
    assert evaluate(~Unknown(), nothing, 2).all()


@pytest.mark.parametrize("value", [None, [1], 2**63, b"a", 1j])
def test_only_plain_values_are_constants(value: Any) -> None:
    with pytest.raises(DefinitionError):
        facts.x.equals(value)


def test_an_expression_has_no_truth_value() -> None:
    with pytest.raises(DefinitionError, match="a & b"):
        bool(facts.x > 1)


def test_leaves_and_specs() -> None:
    expr = (facts.x + 1 > facts.y) & facts.s.equals("a")
    assert [repr(leaf) for leaf in leaves(expr)] == ["facts.x", "facts.y", "facts.s"]
    again = (facts.x + 1 > facts.y) & facts.s.equals("a")
    assert expr.spec() == again.spec() != ((facts.x + 2 > facts.y) & facts.s.equals("a")).spec()
    assert (1 - facts.x).spec() == ["sub", ["literal", 1], ["field", "facts", "x"]]
    assert (1 / facts.x).spec() == ["div", ["literal", 1], ["field", "facts", "x"]]

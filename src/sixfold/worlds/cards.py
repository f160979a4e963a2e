"""A simulated bank: people pay by card, some terminals and some cards are compromised, the truth is known a week later.

As in the Fraud Detection Handbook (section 3.2), at any size: every day some terminals are compromised for four weeks,
in which all that is paid there is fraud, and some customers for two, in which a third of their payments is five times
as much, and fraud. Whatever is above 220 is fraud as well.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sixfold._core.errors import InputError
from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, HOUR, SECOND, instant
from sixfold.data.source import Visit, by_arrival

__all__ = ["Cards", "CardsConfig", "open_world"]

_DELAY_DAYS, _ALWAYS_FRAUD = 7, 220.0
_TERMINAL_DAYS, _CUSTOMER_DAYS = 28, 14


@dataclass(frozen=True, slots=True)
class CardsConfig:
    """The size of the world; `end` is a midnight in UTC: verdicts that come later are not in the log.

    `terminal_share` and `customer_share` are compromised each day.
    """

    name: str = "cards"
    customers: int = 500
    terminals: int = 800
    days: int = 77
    terminal_share: float = 0.0006
    customer_share: float = 0.0012
    end: str = "2026-03-02T00:00:00Z"

    def __post_init__(self) -> None:
        if min(self.customers, self.terminals, self.days) < 1:
            raise InputError(f"a world needs customers, terminals and days; found {self}")


class Cards:
    """A source of the streams `card`, `verdict` and `transaction`, deterministic in (config, seed).

    A `card` is known as compromised from the midnight after the first fraud verdict on.
    """

    def __init__(self, config: CardsConfig | None = None, seed: int = 0) -> None:
        self.config = config or CardsConfig()
        self.seed = seed
        self.end = instant(self.config.end)
        self.start = self.end - self.config.days * DAY
        rng = np.random.default_rng(derive_seed(seed, "people"))
        n, terminals = self.config.customers, self.config.terminals
        self._spends = rng.uniform(5, 100, n)
        self._often = rng.uniform(0, 4, n)
        homes, shops = rng.random((n, 2)), rng.random((terminals, 2))
        distance = ((homes[:, None] - shops[None]) ** 2).sum(axis=2)
        self._near = np.argsort(distance, axis=1)[:, : min(30, terminals)]
        first_bad = rng.random((self.config.days + 1, terminals)) < self.config.terminal_share
        self._bad_terminal = _lasting(first_bad, _TERMINAL_DAYS)
        first_bad = rng.random((self.config.days + 1, n)) < self.config.customer_share
        self._bad_customer = _lasting(first_bad, _CUSTOMER_DAYS)

    @property
    def name(self) -> str:
        """The name of the config."""
        return self.config.name

    @property
    def utc_offset_s(self) -> int:
        """The world lives in UTC."""
        return 0

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The events in order of arrival."""
        yield from by_arrival({name: table.take(table["arrived"] < self.end) for name, table in self._history.items()})

    def visits(self, n: int, *, seed: int, prefix: str) -> list[Visit]:
        """The next `n` payments that ask whether they should be looked at."""
        rng = np.random.default_rng(derive_seed(self.seed, "visits", seed))
        customer = rng.choice(self.config.customers, n, p=self._often / self._often.sum())
        paid = self._payments(customer, np.full(n, self.config.days), rng)
        rows = zip(customer.tolist(), paid["terminal"].tolist(), paid["amount"].tolist(), strict=True)
        return [_Visit(*row, f"{prefix}-{i}") for i, row in enumerate(rows)]

    @cached_property
    def _history(self) -> dict[str, Table]:
        rng = np.random.default_rng(derive_seed(self.seed, "payments"))
        often = rng.poisson(self._often, (self.config.days, self.config.customers))
        day, customer = (np.repeat(axis.ravel(), often.ravel()) for axis in np.indices(often.shape))
        second = np.clip(rng.normal(DAY / 2, 20_000 * SECOND, len(day)), 0, DAY - 1).astype(np.int64)
        paid = self._payments(customer, day, rng)
        at = self.start + day * DAY + second // SECOND * SECOND
        order = np.argsort(at, kind="stable")
        at, customer, terminal, amount, fraud = (
            part[order] for part in (at, customer, paid["terminal"], paid["amount"], paid["fraud"])
        )
        keys = {"customer": customer, "terminal": terminal}
        ids, nobody = np.arange(len(at)).tolist(), column([None] * len(at), str)
        clock = {"night": at % DAY < 7 * HOUR, "weekend": (at // DAY + 3) % 7 >= 5}
        known = at + _DELAY_DAYS * DAY
        return {
            "card": _first_known(customer[fraud], known[fraud]),
            "verdict": Table({"id": _ids("verdict", ids), "at": at, "arrived": known, **keys, "fraud": fraud}),
            "transaction": Table(
                {
                    **{"id": _ids("transaction", ids), "at": at, "arrived": at},
                    **{**keys, "amount": amount, **clock, "decision": nobody},
                }
            ),
        }

    def _payments(self, customer: Array, day: Array, rng: np.random.Generator) -> Table:
        """Where and how much each customer pays, and whether it is fraud."""
        n = len(customer)
        terminal = self._near[customer, rng.integers(0, self._near.shape[1], n)]
        spends = self._spends[customer]
        amount: Array = rng.normal(spends, spends / 2)
        amount = np.where(amount < 0, rng.uniform(0, 2 * spends), amount)
        stolen = self._bad_customer[day, customer] & (rng.random(n) < 1 / 3)
        amount = np.round(np.where(stolen, 5 * amount, amount), 2)
        fraud = stolen | self._bad_terminal[day, terminal] | (amount > _ALWAYS_FRAUD)
        return Table({"terminal": terminal, "amount": amount, "fraud": fraud})


@dataclass(frozen=True, slots=True)
class _Visit:
    """A payment: it asks first, and is then in the log, with the alert if somebody is to look at it."""

    customer: int
    terminal: int
    amount: float
    id: str

    def ask(self) -> dict[str, Any]:
        context = {"terminal": self.terminal, "amount": self.amount, "night": False, "weekend": False}
        return {"customer": self.customer, "context": context, "id": self.id}

    def react(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        decision = answer["decision"]
        keys = {"at": answer["at"], "customer": self.customer, "terminal": self.terminal, "decision": decision}
        paid = {"amount": self.amount, "night": False, "weekend": False}
        rows = [{"stream": "transaction", "id": f"{decision}-paid", **keys, **paid}]
        if answer["items"][0]["id"] == "review":
            rows.append({"stream": "alert", "id": f"{decision}-alert", **keys})
        return rows


def open_world(name: str, seed: int) -> Cards:
    """The world of that name."""
    return Cards(CardsConfig(name), seed)


def _lasting(first: Array, days: int) -> Array:
    """True on the day of each start and on those after it, `days` in all; (n_days, n)."""
    started = np.cumsum(np.vstack([np.zeros((days, first.shape[1]), np.int64), first]), axis=0)
    return np.asarray(started[days:] > started[:-days])


def _first_known(customer: Array, known: Array) -> Table:
    """An event for each customer with a fraud, at the midnight after the first verdict on one."""
    who, where = np.unique(customer, return_inverse=True)
    at = np.full(len(who), np.iinfo(np.int64).max)
    np.minimum.at(at, where, known // DAY * DAY + DAY)
    columns = {"customer": who, "compromised": np.ones(len(who), np.bool_)}
    return Table({"id": _ids("card", who.tolist()), "at": at, "arrived": at, **columns})


def _ids(stream: str, keys: list[int]) -> Array:
    return column([f"{stream}-{key}" for key in keys], str)

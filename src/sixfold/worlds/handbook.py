"""A made-up town's handbook: a page for each house, and people who ask what stands there, or what does not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, HOUR, SECOND, instant
from sixfold.data.source import Visit, by_arrival

__all__ = ["HANDBOOKS", "Handbook", "HandbookConfig", "open_world"]

_KINDS = (
    "library", "theatre", "bakery", "school", "museum", "harbour", "garden", "hospital", "market", "station", "mill",
    "chapel", "brewery", "stadium", "bridge", "tower", "hotel", "factory", "archive", "pharmacy", "academy", "prison",
    "bath", "cinema", "stable", "foundry", "gallery", "lighthouse", "observatory", "orphanage", "palace", "quarry",
    "shipyard", "tavern", "workshop",
)  # fmt: skip
_FIRST = ("Ada", "Ben", "Clara", "David", "Edith", "Frank", "Greta", "Henry", "Ida", "Jonas", "Karla", "Leo", "Maud")
_LAST = ("Ashby", "Brook", "Carver", "Dunn", "Elliot", "Falk", "Grant", "Holm", "Irving", "Jansen", "Keller", "Lund")
_NAMES = ("Alder", "Birch", "Cedar", "Dove", "Elm", "Falcon", "Goose", "Heron", "Ivy", "Juniper", "Kestrel", "Linden")
_STREETS = ("Mill Lane", "Quay Street", "North Road", "Castle Hill", "Abbey Row", "Ferry Walk", "Market Square")
_COLOURS = ("red brick", "grey granite", "white marble", "oak timber", "yellow sandstone", "green slate")

_SENTENCES = {
    "builder": "It was built by {builder}, who came from the coast.",
    "year": "The doors were first opened in {year}, after a long winter.",
    "street": "The house stands on {street}, close to the old wall.",
    "rooms": "It has {rooms} rooms on two floors.",
    "stone": "The walls are made of {stone} and the roof of tin.",
    "keeper": "Since then {keeper} has kept the keys.",
}
_QUESTIONS = {
    "builder": "Who built the {name} {kind}?",
    "year": "In what year was the {name} {kind} first opened?",
    "street": "On which street does the {name} {kind} stand?",
    "rooms": "How many rooms does the {name} {kind} have?",
    "stone": "What are the walls of the {name} {kind} made of?",
    "keeper": "Who keeps the keys of the {name} {kind}?",
}
_ELSEWHERE = (
    "Who painted the ceiling of the {name} {kind}?",
    "How many visitors came to the {name} {kind} last summer?",
    "In what year did the {name} {kind} burn down?",
    "What is sold in the cellar of the {name} {kind}?",
)
_DAY = 35


@dataclass(frozen=True, slots=True)
class HandbookConfig:
    """The size of the world: every day people ask about the `houses` of one kind; each page leaves out two facts."""

    name: str = "handbook"
    houses: int = 8
    asked: int = 4
    end: str = "2026-03-02T00:00:00Z"


HANDBOOKS = {
    "handbook": HandbookConfig(),
    "handbook-tiny": HandbookConfig("handbook-tiny", houses=4, asked=3),
}
"""The sizes that come with Sixfold."""


@dataclass(frozen=True, slots=True)
class _House:
    """A page, and the facts that stand on it."""

    passage: int
    kind: str
    name: str
    text: str
    facts: Mapping[str, str]


class Handbook:
    """A source of the streams `passage_meta`, `asked` and `answer`, deterministic in (config, seed).

    Of the questions a third ask for a fact that no page has, most of them for one that the pages of other houses have.
    """

    def __init__(self, config: HandbookConfig | None = None, seed: int = 0) -> None:
        self.config = config or HandbookConfig()
        self.seed = seed
        self._start = instant(self.config.end) - (_DAY + 1) * DAY

    @property
    def name(self) -> str:
        """The name of the config."""
        return self.config.name

    @property
    def utc_offset_s(self) -> int:
        """The town lives in UTC."""
        return 0

    def chunks(self) -> Iterator[Mapping[str, Table]]:
        """The pages, then the questions of every day."""
        pages, at = self._houses, np.full(len(self._houses), self._start)
        meta = {
            "passage": np.array([page.passage for page in pages], np.int64),
            "title": column([f"The {page.name} {page.kind}" for page in pages], str),
            "text": column([page.text for page in pages], str),
        }
        asked: list[tuple[int, dict[str, Any]]] = []
        answers: list[tuple[int, dict[str, Any]]] = []
        for day in range(_DAY):
            here = pages[day * self.config.houses : (day + 1) * self.config.houses]
            rng = np.random.default_rng(derive_seed(self.seed, "day", day))
            for i, (page, question, truth) in enumerate(self._questions(here, rng)):
                when = self._start + (day + 1) * DAY + 13 * HOUR + i * 60 * SECOND
                others = [other for other in here if other is not page]
                shown = [page, *(others[j] for j in rng.permutation(len(others))[:3].tolist())]
                for position, j in enumerate(rng.permutation(len(shown)).tolist()):
                    row = {"question": question, "passage": shown[j].passage, "position": position, "decision": None}
                    asked.append((when, row))
                row = {"question": question, "passage": page.passage, "accepted": truth, "found": truth is not None}
                answers.append((when + 30 * SECOND, row))
        ids = column([f"passage-{page.passage}" for page in pages], str)
        kinds = {"passage": int, "position": int, "found": bool}
        yield from by_arrival(
            {
                "passage_meta": Table({"id": ids, "at": at, "arrived": at, **meta}),
                "asked": _events("asked", asked, kinds),
                "answer": _events("answer", answers, kinds),
            }
        )

    def visits(self, n: int, *, seed: int, prefix: str) -> list[Visit]:
        """The next `n` people, who ask and say nothing of the answer."""
        rng = np.random.default_rng(derive_seed(self.seed, "visits", seed))
        pages = [self._houses[i] for i in rng.integers(0, len(self._houses), n).tolist()]
        questions = [self._questions([page], rng)[0][1] for page in pages]
        return [_Visit(question, f"{prefix}-{i}") for i, question in enumerate(questions)]

    @cached_property
    def _houses(self) -> list[_House]:
        rng = np.random.default_rng(derive_seed(self.seed, "houses"))
        return [
            self._house(day * self.config.houses + i, _KINDS[day], _NAMES[j], rng)
            for day in range(_DAY)
            for i, j in enumerate(rng.permutation(len(_NAMES))[: self.config.houses].tolist())
        ]

    def _house(self, passage: int, kind: str, name: str, rng: np.random.Generator) -> _House:
        def one(values: tuple[str, ...]) -> str:
            return values[int(rng.integers(len(values)))]

        facts = {
            "builder": f"{one(_FIRST)} {one(_LAST)}",
            "year": str(int(rng.integers(1700, 1990))),
            "street": one(_STREETS),
            "rooms": str(int(rng.integers(5, 90))),
            "stone": one(_COLOURS),
            "keeper": f"{one(_FIRST)} {one(_LAST)}",
        }
        told = [list(facts)[i] for i in sorted(rng.permutation(len(facts))[:4].tolist())]
        body = [_SENTENCES[fact].format(**facts) for fact in told]
        text = " ".join([f"The {name} {kind} is well known in the town.", *body])
        return _House(passage, kind, name, text, {fact: facts[fact] for fact in told})

    def _questions(self, pages: list[_House], rng: np.random.Generator) -> list[tuple[_House, str, str | None]]:
        out: list[tuple[_House, str, str | None]] = []
        for page in pages:
            known = [(_QUESTIONS[fact], page.facts[fact]) for fact in page.facts]
            unknown = [(_QUESTIONS[fact], None) for fact in _QUESTIONS if fact not in page.facts]
            unknown.append((_ELSEWHERE[int(rng.integers(len(_ELSEWHERE)))], None))
            share = [2 / 3 / len(known)] * len(known) + [1 / 3 / len(unknown)] * len(unknown)
            both: list[tuple[str, str | None]] = [*known, *unknown]
            for i in rng.choice(len(both), min(self.config.asked, len(both)), replace=False, p=share).tolist():
                text, truth = both[i]
                out.append((page, text.format(name=page.name, kind=page.kind), truth))
        return out


@dataclass(frozen=True, slots=True)
class _Visit:
    """Somebody who asks a question."""

    question: str
    id: str

    def ask(self) -> dict[str, Any]:
        return {"question": self.question, "id": self.id}

    def react(self, answer: dict[str, Any]) -> list[dict[str, Any]]:
        """Nothing: who asks does not know better."""
        del answer
        return []


def open_world(name: str, seed: int) -> Handbook:
    """The world of that size."""
    return Handbook(HANDBOOKS[name], seed)


def _events(name: str, rows: list[tuple[int, dict[str, Any]]], kinds: Mapping[str, type]) -> Table:
    at: Array = np.array([when for when, _ in rows], np.int64)
    columns = {key: column([row[key] for _, row in rows], kinds.get(key, str)) for key in rows[0][1]}
    ids = column([f"{name}-{i}" for i in range(len(rows))], str)
    return Table({"id": ids, "at": at, "arrived": at, **columns})

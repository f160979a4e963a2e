"""A slate in the making: what ranking knew of the candidates, and what the answer and the log say of the items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sixfold._core.table import Array, Table
from sixfold.serve.candidates import Candidates
from sixfold.serve.decision import Item, Reason, pack
from sixfold.serve.stages import Selection

__all__ = ["Made", "Ranked", "items_of", "reasons_of", "record_of", "unranked", "why_short"]


@dataclass(slots=True)
class Ranked:
    """Candidates, best first, with what ranking knew of them: nothing when it was left out.

    `heads`, `features` and `evidence` go with the rows before ranking, which `order` names.
    """

    candidates: Candidates
    order: Array | None = None
    heads: Table | None = None
    features: Table | None = None
    evidence: Table | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What was decided: the items or the action, what the log keeps of how, and whether it is all that was asked."""

    items: list[Item]
    record: Mapping[str, Any]
    complete: bool
    why: str


def unranked(key: int | str, reasons: list[Reason]) -> Item:
    """An item that nobody ranked; it gets its position when the slate is whole."""
    return Item(-1, key, None, 1.0, False, reasons)


def reasons_of(candidates: Candidates, rows: Array) -> list[list[Reason]]:
    """For each row the sources that proposed the item."""
    ranks, scores = candidates.ranks[:, rows].T.tolist(), candidates.scores[:, rows].T.tolist()
    return [
        [Reason(*known) for known in zip(candidates.sources, *mine, strict=True) if known[1] >= 0]
        for mine in zip(ranks, scores, strict=True)
    ]


def items_of(ranked: Ranked, chosen: Selection) -> list[Item]:
    """The selected candidates as items, in order of position."""
    keys = ranked.candidates.keys[chosen.rows].tolist()
    known = ranked.candidates.values
    values = [None] * len(keys) if known is None else known[chosen.rows].tolist()
    chances, explored = chosen.propensities.tolist(), chosen.explored.tolist()
    reasons = reasons_of(ranked.candidates, chosen.rows)
    details = [dict(detail) for detail in chosen.details] or [{} for _ in keys]
    rows = zip(keys, values, chances, explored, reasons, details, strict=True)
    return [Item(i, *fields) for i, fields in enumerate(rows)]


def record_of(ranked: Ranked, chosen: Selection) -> dict[str, Any]:
    """The shown items' features and heads, exactly as they were ranked by; what models said of them is kept apart."""
    if ranked.features is None or ranked.heads is None or ranked.order is None:
        return {}
    ids = ranked.candidates.keys[chosen.rows].tolist()
    rows = ranked.order[chosen.rows]
    shown = {"ids": ids, "features": pack(ranked.features.take(rows)), "heads": pack(ranked.heads.take(rows))}
    return shown if ranked.evidence is None else {**shown, "evidence": pack(ranked.evidence.take(rows))}


def why_short(n: int, found: int, candidates: int, removed: Mapping[str, int], notes: Sequence[str]) -> str:
    """In words, what is unusual about the slate; empty when nothing is."""
    parts = list(notes)
    if found < n:
        gone = ", ".join(f"{name} removed {count}" for name, count in removed.items()) or "nothing was removed"
        parts.append(f"only {found} of {n} items: {candidates} candidates were left ({gone}) and the fallback ran out")
    return "; ".join(parts)

"""What went on before us: when people came, what the old recommender showed them, and how they watched it."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from sixfold._core.hashing import derive_seed
from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, HOUR, MINUTE
from sixfold.worlds.audience import TABS, Audience, Outlook
from sixfold.worlds.recommender import OldRecommender

__all__ = ["TAB_CHANCES", "Viewing", "impressions", "outcomes", "viewing"]

TAB_CHANCES = (0.7, 0.2, 0.1)

_ATTENTION_MS = 6 * 60_000
"""Nobody begins another video of the same slate after this long."""
_SWIPE_MS = 600.0
_LEAVE = 0.04
"""The chance of leaving the slate after a video."""


@dataclass(frozen=True, slots=True)
class Viewing:
    """How slates were gone through: was each video reached, and microseconds until it was done; (n_slates, length)."""

    reached: Array
    done: Array


def viewing(watched_ms: Array, rng: np.random.Generator) -> Viewing:
    """People go down until they leave or six minutes are over; `watched_ms` is (n_slates, length), NaN for none."""
    present = ~np.isnan(watched_ms)
    done_ms = np.cumsum(np.where(present, watched_ms + _SWIPE_MS, 0.0), axis=1)
    begun_ms = done_ms - np.where(present, watched_ms + _SWIPE_MS, 0.0)
    stays = np.ones(watched_ms.shape, np.bool_)
    stays[:, 1:] = np.cumprod(rng.random(watched_ms.shape)[:, 1:] >= _LEAVE, axis=1, dtype=np.bool_)
    return Viewing(present & stays & (begun_ms < _ATTENTION_MS), (done_ms * 1_000).astype(np.int64))


def outcomes(outlook: Outlook, bait: Array, rng: np.random.Generator) -> dict[str, Array]:
    """One draw of what happens for each pair: the fields of `watch`."""
    clicked, watched_ms = outlook.draw(rng)
    watched_ms = np.round(watched_ms)
    long = clicked & (watched_ms >= np.round(outlook.enough_ms))
    n = len(clicked)
    liked = long & (rng.random(n) < expit(-2.8 + 0.8 * outlook.affinity))
    hated = clicked & ~long & (rng.random(n) < expit(-5.5 - 0.8 * outlook.affinity + 0.8 * bait))
    share = watched_ms / (outlook.longest_ms / 2)
    return {"watched_ms": watched_ms, "share": share, "clicked": clicked, "long": long, "liked": liked, "hated": hated}


def impressions(truth: Audience, n_requests: int) -> tuple[Table, dict[str, Array], Array]:
    """The log of the old recommender: `shown` by time, what `watch` says of it, and microseconds until it was done."""
    requests = _requests(truth, n_requests)
    p, old = truth.population, OldRecommender.ignorant(truth)
    parts: list[dict[str, Array]] = []
    day = (requests["at"] - p.start) // DAY
    for today in range((p.end - p.start) // DAY):
        rows = np.flatnonzero(day == today)
        rng = np.random.default_rng(derive_seed(truth.seed, "traffic", today))
        slates = old.slates(requests.take(rows), rng)
        part = _watched(truth, requests.take(rows), slates, rng)
        part["request"] += rows[0] if len(rows) else 0
        parts.append(part)
        old.learn(part["user"], part["video"], part["long"])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return _as_tables(joined)


def _requests(truth: Audience, n: int) -> Table:
    """Who asks for a slate, when and on which tab, by time; two requests a session on average."""
    rng = np.random.default_rng(derive_seed(truth.seed, "requests"))
    p = truth.population
    present = np.clip((p.end - truth.joined[: p.users]) / (p.end - p.start), 0, 1)
    chance = truth.activity[: p.users] * present
    sessions = max(n // 2, 1)
    user = rng.choice(p.users, sessions, p=chance / chance.sum())
    joined = np.maximum(truth.joined[user], p.start)
    day = ((joined + rng.random(sessions) * (p.end - joined)).astype(np.int64) - p.start) // DAY
    peak = np.where(
        rng.random(sessions) < 0.75,
        truth.peak_hour[user] + 2.0 * rng.standard_normal(sessions),
        24 * rng.random(sessions),
    )
    begin = p.start + day * DAY + (peak % 24 * HOUR).astype(np.int64)
    begin = np.where(begin < joined, joined + (rng.random(sessions) * HOUR).astype(np.int64), begin)
    length = rng.geometric(0.5, sessions)
    session = np.repeat(np.arange(sessions), length)
    place = np.arange(len(session)) - np.repeat(np.cumsum(length) - length, length)
    at = begin[session] + place * rng.integers(7 * MINUTE, 12 * MINUTE, sessions)[session]
    tab = rng.choice(len(TABS), sessions, p=TAB_CHANCES)[session]
    order = np.argsort(at, kind="stable")
    order = order[at[order] < p.end]
    return Table({"user": user[session][order], "at": at[order], "tab": tab[order]})


def _watched(truth: Audience, requests: Table, slates: Array, rng: np.random.Generator) -> dict[str, Array]:
    """The impressions that were reached, row by row, with their outcomes."""
    user, at, tab = (requests[name] for name in ("user", "at", "tab"))
    request, position = np.nonzero(slates >= 0)
    video = slates[request, position]
    outlook = truth.outlook(user[request], video, at[request], position=position, tab=tab[request])
    outcome = outcomes(outlook, truth.bait[video], rng)
    watched_ms = np.full(slates.shape, np.nan)
    watched_ms[request, position] = outcome["watched_ms"]
    view = viewing(watched_ms, rng)
    columns = {"request": request, "position": position, "user": user[request], "video": video, "at": at[request]}
    columns |= {"tab": tab[request], "done": view.done[request, position], **outcome}
    kept = view.reached[request, position]
    return {name: values[kept] for name, values in columns.items()}


def _as_tables(columns: dict[str, Array]) -> tuple[Table, dict[str, Array], Array]:
    request, position = columns.pop("request"), columns.pop("position")
    done, at = columns.pop("done"), columns.pop("at")
    n = len(at)
    columns["tab"] = column(np.array(TABS, object)[columns["tab"]], str)
    ids = [f"r{r}-{i}" for r, i in zip(request.tolist(), position.tolist(), strict=True)]
    shown = Table(
        {
            "id": column(ids, str),
            "at": at,
            "arrived": at,
            "user": columns.pop("user"),
            "video": columns.pop("video"),
            "tab": columns["tab"],
            "position": position,
            "decision": column([None] * n, str),
        }
    )
    return shown, columns, done

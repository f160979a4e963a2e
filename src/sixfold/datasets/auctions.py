"""What the four data sets of advertising have in common: auctions of shown ads, as one set of streams.

Three of them were published as rows without a time, split at random or in an order that is all they keep. They are laid
over three days that we made up: training rows on the first, validation rows on the second, test rows on the third, so
that a split in time of one day each is the split that was published. Nothing that depends on the hour of such a day
means anything.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from sixfold._core.table import Array, Table, column
from sixfold._core.times import DAY, HOUR, MINUTE, instant

__all__ = ["CATEGORIES", "NUMBERS", "START", "auction_streams", "laid_out"]

NUMBERS = tuple(f"n{i}" for i in range(1, 14))
"""The columns of numbers of an auction; a data set fills as many as it has."""

CATEGORIES = tuple(f"c{i}" for i in range(1, 27))
"""The columns of categories of an auction, as text."""

START = instant("2014-01-01T00:00:00Z")
"""Midnight before the first of the made-up days."""


def laid_out(sizes: Sequence[int], *, hours: int) -> Array:
    """Instants for rows of the made-up days, `sizes` of them on each, evenly over its first `hours`; (n_rows,) int64.

    >>> ((laid_out((1, 2), hours=20) - START) / HOUR).tolist()
    [0.0, 24.0, 34.0]
    """
    days = [START + i * DAY + np.arange(n) * (hours * HOUR // max(n, 1)) for i, n in enumerate(sizes)]
    return np.concatenate([np.zeros(0, np.int64), *days])


def auction_streams(
    at: Array,
    keys: Mapping[str, Array],
    clicked: Array,
    *,
    numbers: Sequence[Array] = (),
    categories: Sequence[Array] = (),
    price: Array | None = None,
    learned: Array | None = None,
    campaigns: Table | None = None,
) -> dict[str, Table]:
    """The streams `campaign_meta`, `shown` and `click` of auctions that were won, a row each.

    `keys` are the columns `viewer` and `campaign`; `price` is what the ad was shown for; `learned` is when a click
    became known, and otherwise a minute has to pass. `campaigns` states the worth of a click (`bid`) and what may be
    spent in a day (`budget`) with `at`; if nothing is known of either, every click is worth 1 and budgets are endless.
    """
    n = len(at)
    ids = column([f"auction-{i}" for i in range(n)], str)
    known = {"position": np.zeros(n, np.int64), "decision": column([None] * n, str)}
    nothing, unnamed = np.full(n, np.nan), column([None] * n, str)
    known |= dict.fromkeys(NUMBERS, nothing) | dict(zip(NUMBERS, numbers, strict=False))
    known |= dict.fromkeys(CATEGORIES, unnamed) | dict(zip(CATEGORIES, categories, strict=False))
    known |= {"price": nothing if price is None else price.astype(np.float64), "pace": nothing}
    if campaigns is None:
        campaigns = _endless(np.unique(keys["campaign"]), int(at.min()), int(at.max()))
    moments = zip(campaigns["campaign"].tolist(), campaigns["at"].tolist(), strict=True)
    meta_ids = column([f"campaign-{campaign}-{t}" for campaign, t in moments], str)
    names = column(list(map(str, campaigns["campaign"].tolist())), str)
    outcome = {"clicked": clicked.astype(np.bool_)}
    seen = at + MINUTE
    streams = {
        "campaign_meta": Table({"id": meta_ids, "arrived": campaigns["at"], "advertiser": names, **campaigns}),
        "shown": Table({"id": ids, "at": at, "arrived": at, **keys, **known}),
        "click": Table({"id": ids, "at": seen, "arrived": seen if learned is None else learned, **keys, **outcome}),
    }
    return {name: table.take(np.argsort(table["arrived"], kind="stable")) for name, table in streams.items()}


def _endless(campaigns: Array, first: int, last: int) -> Table:
    """Every campaign states each day anew, and once more after the last, that a click is worth 1 and no budget ends."""
    days = first + np.arange((last - first) // DAY + 2) * DAY
    n = len(days) * len(campaigns)
    columns = {"at": np.repeat(days, len(campaigns)), "campaign": np.tile(campaigns, len(days))}
    return Table({**columns, "bid": np.ones(n), "budget": np.full(n, np.nan)})

"""The measures of advertising on trials made by hand."""

from typing import Any

import numpy as np
import pytest

from sixfold._core.table import Array, Table
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.labels import Label
from sixfold.evaluate import PacedBidding, Probabilities
from sixfold.evaluate.measures import OURS, STATIC, Trial
from sixfold.evaluate.paced_bidding import PACED
from sixfold.evaluate.ranking import log_loss
from sixfold.features import attribute
from sixfold.features import sum as total
from sixfold.frame import Entity
from sixfold.serve import Pace

viewer, campaign = Entity("viewer"), Entity("campaign")
meta = Events("campaign_meta", keys=(campaign,), fields={"bid": float, "budget": float})
shown = Events("shown", keys=(viewer, campaign), fields={"site": str, "price": float})
click = Events("click", keys=(viewer, campaign), fields={"clicked": bool})
clicked = Label("clicked", click.clicked, of=shown, within="10m", matures="10m")
PACE = Pace(total(shown.price, by=campaign, over="today"), attribute(meta.budget), gain=40.0, most=3.0)
BIDDING = PacedBidding(clicked, item=campaign, price=shown.price, bid=attribute(meta.bid), pace=PACE)


def auctions(n: int, day: int, rng: np.random.Generator) -> tuple[dict[str, Array], Array]:
    """Auctions of two campaigns over one day, and the true chances of a click, that prices go with a little."""
    chance = np.clip(rng.lognormal(-4, 0.8, n), 0, 0.5)
    columns: dict[str, Any] = {
        "viewer": np.arange(n),
        "campaign": np.arange(n) % 2,
        "at": day * DAY + np.arange(n) * (DAY // n),
        "price": np.round(rng.lognormal(4, 0.6, n) * (chance / chance.mean()) ** 0.3),
        "site": np.where(chance > 0.02, "good", "plain").astype(object),
    }
    return columns, chance


def trial(*, priced: bool = True, n: int = 20_000) -> Trial:
    rng = np.random.default_rng(1)
    past, _ = auctions(n, 10, rng)
    now, chance = auctions(n, 11, rng)
    if not priced:
        now["price"] = past["price"] = np.full(n, np.nan)
    happened = (rng.random(n) < chance).astype(np.float64)
    stated = {"offset": np.arange(2), "at": np.full(2, 10 * DAY), "arrived": np.full(2, 10 * DAY)}
    stated |= {"campaign": np.arange(2), "bid": np.full(2, 4_000.0), "budget": np.full(2, np.nan)}
    offsets = {"offset": 2 + np.arange(2 * n), "arrived": np.concatenate([past["at"], now["at"]])}
    both = {name: np.concatenate([past[name], now[name]]) for name in now}
    history = {"campaign_meta": Table(stated), "shown": Table({**both, **offsets})}
    spine = Table({**now, "offset": 2 + n + np.arange(n)})
    said = {OURS: Table({"clicked": chance}), STATIC: Table({"clicked": np.full(n, 0.08)})}
    return Trial(
        spine=spine,
        features=Table({}, n_rows=n),
        labels=Table({"clicked": happened}),
        people=now["viewer"],
        predictions=said,
        history=history,
        start=11 * DAY,
        decide=_nobody,
        request=_nobody,
        seed=1,
    )


def _nobody(_: Any) -> Any:
    raise NotImplementedError


def test_paced_bids_stand_beside_the_others() -> None:
    comparison, figures = BIDDING.measure(trial())
    assert set(figures) == set(BIDDING.metrics)
    by_name = {entry.name: entry for entry in comparison.entries}
    assert len(by_name) == 2 * 3 * 6
    assert [entry.name for entry in comparison.entries if entry.ours] == [
        f"{item}, {budget}: {PACED}" for item in (0, 1) for budget in (0.5, 0.25, 0.125)
    ]
    assert float(figures["paced_spend"]) > 0.97
    assert float(figures["paced_off_plan"]) < 0.04
    gain = figures["paced_gain"]
    assert not isinstance(gain, float)
    assert gain.above_zero
    constant = by_name["0, 0.25: constant bid"].metrics
    assert float(constant["gain per budget"]) == float(constant["gain per spend"]) == 0.0
    assert float(by_name[f"0, 0.25: {PACED}"].metrics["clicked"]) > float(constant["clicked"])


def test_nothing_to_pace_where_nothing_has_a_price() -> None:
    comparison, figures = BIDDING.measure(trial(priced=False, n=200))
    assert "nothing to pace" in comparison.note
    assert comparison.entries == ()
    assert (figures["paced_spend"], figures["paced_off_plan"]) == (1.0, 0.0)


def test_true_probabilities_are_calibrated_beyond_noise_and_guesses_are_not() -> None:
    measured = trial()
    measure = Probabilities(clicked, slices=(shown.site,))
    comparison, figures = measure.measure(measured)
    assert set(figures) == set(measure.metrics)
    assert float(figures["ece_beyond_noise"]) < 0.001
    ours = measured.predictions[OURS]["clicked"]
    assert float(figures["log_loss"]) == pytest.approx(float(log_loss(measured.labels["clicked"], ours)))
    entries = {entry.name: entry.metrics for entry in comparison.entries}
    assert list(entries) == ["base rate", STATIC, OURS, "ours where site = plain", "ours where site = good"]
    assert float(entries["base rate"]["ne"]) == pytest.approx(1.0)
    assert float(entries[STATIC]["ece"]) > 5 * float(entries[OURS]["ece"])
    for name in ("ours where site = plain", "ours where site = good"):
        ratio = entries[name]["mean ratio"]
        assert ratio.low < 1.0 < ratio.high

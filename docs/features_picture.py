"""Draws docs/features.svg, the example of docs/features.md: `python docs/features_picture.py`.

On the left a window as its tiles, on the right its two clocks. The same file for the same matplotlib.
"""

from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

EVENTS = {"a": ("10:59", "10:59"), "b": ("11:01", "11:01"), "c": ("11:40", "11:40"), "d": ("11:50", "12:06")}
ASKED = "12:02"
BLUE, LIGHT, GREY, DARK = "#1f5fa8", "#dbe7f5", "#b6bcc4", "#30363d"
FIRST, LAST = "10:50", "12:14"
SETTINGS = {
    "svg.fonttype": "none",
    "svg.hashsalt": "sixfold",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": DARK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": DARK,
    "xtick.color": DARK,
    "ytick.color": DARK,
}


def minutes(clock: str) -> int:
    """Minutes since midnight."""
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def clock_ticks() -> tuple[list[int], list[str]]:
    """Every 20 minutes."""
    places = list(range(minutes("11:00"), minutes(LAST), 20))
    return places, [f"{place // 60}:{place % 60:02}" for place in places]


def draw_window(axes: Axes) -> None:
    """The tiles that a window of an hour covers, asked at 12:02, and the events in them."""
    edge, back, now = minutes("11:00"), minutes(ASKED) - 60, minutes(ASKED)
    axes.axvspan(edge, now, color=LIGHT, lw=0)
    for tile in range(minutes(FIRST), minutes(LAST) + 1, 5):
        axes.axvline(tile, color=GREY, lw=0.5, ymax=0.45)
    axes.axvline(back, color=DARK, lw=1, ls=":", ymax=0.8)
    axes.axvline(now, color=DARK, lw=1.2)
    axes.text(back + 1, 2.0, "one hour\nback, 11:02", va="top")
    axes.text(now + 1, 2.0, f"asked\n{ASKED}", va="top")
    axes.annotate(
        "the window begins\nwith this tile, 11:00",
        (edge, 0.3),
        (edge + 18, -0.75),
        arrowprops={"arrowstyle": "->", "color": BLUE},
        color=BLUE,
        va="center",
    )
    for name, (at, arrived) in EVENTS.items():
        seen, inside = minutes(arrived) < now, minutes(at) >= edge
        axes.plot(minutes(at), 0.3, "o", ms=8, mec=BLUE if inside else GREY, mfc=_fill(seen, inside), mew=1.5)
        axes.text(minutes(at) + {"a": -2, "b": 2}.get(name, 0), 0.75, name, ha="center", color=DARK)
    axes.set(xlim=(minutes(FIRST), minutes(LAST)), ylim=(-1.2, 2.2), yticks=[])
    axes.set_xticks(*clock_ticks())
    axes.set_title("a window of one hour is whole tiles of 5 minutes", loc="left", fontsize=10)
    axes.set_xlabel("happened at")


def draw_clocks(axes: Axes) -> None:
    """The same events by both clocks, and which of them count."""
    edge, now = minutes("11:00"), minutes(ASKED)
    low, high = minutes(FIRST), minutes(LAST)
    axes.fill_between([edge, high], low, now, color=LIGHT, lw=0)
    axes.plot([low, high], [low, high], color=GREY, lw=0.8)
    axes.axhline(now, color=DARK, lw=1.2)
    axes.axvline(edge, color=BLUE, lw=1)
    axes.text(low + 17, now + 3, f"not yet known at {ASKED}", va="bottom")
    axes.text(edge + 2, low + 3, "counts", color=BLUE)
    for name, (at, arrived) in EVENTS.items():
        seen, inside = minutes(arrived) < now, minutes(at) >= edge
        axes.plot(
            minutes(at), minutes(arrived), "o", ms=8, mec=BLUE if inside else GREY, mfc=_fill(seen, inside), mew=1.5
        )
        axes.text(minutes(at) + (-2.5 if name == "a" else 2.5), minutes(arrived), name, ha="center", va="center")
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="happened at", ylabel="arrived at")
    axes.set_xticks(*clock_ticks())
    axes.set_yticks(*clock_ticks())
    axes.set_title("two clocks: d happened in the window, and came late", loc="left", fontsize=10)


def _fill(seen: bool, inside: bool) -> str:
    if not seen:
        return "white"
    return BLUE if inside else GREY


def main() -> None:
    """Draw both."""
    mpl.use("svg")
    with mpl.rc_context(SETTINGS):
        figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.3), width_ratios=(1.25, 1), layout="constrained")
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        draw_window(left)
        draw_clocks(right)
        figure.savefig(Path(__file__).with_name("features.svg"), metadata={"Date": None})


if __name__ == "__main__":
    main()

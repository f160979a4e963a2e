"""What a measurement gives: time by the wall and by the processor, peak memory, and figures to hold against bars."""

import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Figures", "Row", "Times", "peak_mib", "resident_mib", "table"]


@dataclass(slots=True)
class Times:
    """Seconds of repeated calls, by the wall and by the processor (all threads of this process)."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def take(self, work: Callable[[], Any]) -> Any:
        """Call `work` once and note what it took."""
        wall, cpu = time.perf_counter(), time.process_time()
        result = work()
        self.cpu.append(time.process_time() - cpu)
        self.wall.append(time.perf_counter() - wall)
        return result

    def ms(self, share: float) -> tuple[float, float]:
        """The quantile in milliseconds, by the wall and by the processor."""
        return tuple(float(np.quantile(np.array(times), share)) * 1e3 for times in (self.wall, self.cpu))  # type: ignore[return-value]

    @property
    def median(self) -> tuple[float, float]:
        """Median seconds, by the wall and by the processor."""
        return float(np.median(self.wall)), float(np.median(self.cpu))


def peak_mib() -> float:
    """The most memory this process has held so far (Linux; ru_maxrss would count what its parent held)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def resident_mib() -> float:
    """What this process holds now (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


Figures = dict[str, float]
"""What a part hands back to the process that started it."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `value` and `cpu` are held against the bar: at least it, or at most it."""

    name: str
    unit: str
    value: float | None
    bar: float | None = None
    at_least: bool = True
    cpu: float | None = None
    note: str = ""

    @property
    def met(self) -> str:
        """Whether the bar is met, in a word."""
        if self.bar is None:
            return ""
        if self.value is None:
            return "not measured"
        if self._reaches(self.value):
            return "yes"
        return "no (by CPU time yes)" if self.cpu is not None and self._reaches(self.cpu) else "no"

    def _reaches(self, value: float) -> bool:
        assert self.bar is not None
        return value >= self.bar if self.at_least else value <= self.bar

    def cells(self) -> list[str]:
        """The line as text."""
        sign = "≥" if self.at_least else "≤"
        bar = "" if self.bar is None else f"{sign} {_number(self.bar)}"
        return [self.name, _number(self.value), _number(self.cpu), bar, self.unit, self.met, self.note]

    def plain(self) -> dict[str, Any]:
        """The line for a file of figures."""
        return asdict(self) | {"met": self.met}


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(rows: Sequence[Row]) -> str:
    """All lines in columns, as Markdown."""
    head = ["what", "measured", "by CPU time", "bar", "unit", "met", "how"]
    lines = [head, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines
    )

"""Live traffic: a service in a process of its own, and visitors who ask it for decisions and react to what they see."""

import asyncio
import math
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import msgspec
import numpy as np

from sixfold._core.errors import ServiceError
from sixfold.data.source import Visit
from sixfold.models.contract import Progress, silent
from sixfold.run.home import Home, read_json

__all__ = ["LiveResult", "Visitors", "drive", "running_service", "with_stages"]

_START_S = 120


Visitors = Sequence[Visit]


@dataclass(frozen=True, slots=True)
class LiveResult:
    """What live traffic measured; times in milliseconds, from the client's side of loopback."""

    decisions: int
    events: int
    failed: int
    concurrency: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    verdicts: dict[str, int] = field(default_factory=dict)
    rungs: dict[str, int] = field(default_factory=dict)
    stages: dict[str, dict[str, float]] = field(default_factory=dict)


@contextmanager
def running_service(home: Home, root: Path, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """`sixfold serve` over the home as a child process; gives its URL, and stops it at the end.

    Raises ServiceError with what the process said if it does not become ready.
    """
    state = home.folder / "service.json"
    state.unlink(missing_ok=True)
    command = [sys.executable, "-m", "sixfold", "serve", "--home", str(root), "--system", home.definition]
    command += ["--data", home.source, "--host", host, "--port", str(port)]
    with (home.folder / "service.log").open("w+") as said:
        process = subprocess.Popen(  # noqa: S603 (our own interpreter, a list of arguments)
            command, stdout=said, stderr=said, stdin=subprocess.DEVNULL
        )
        try:
            yield _await_ready(process, state, home.folder / "service.log")
        finally:
            process.terminate()
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_ready(process: subprocess.Popen[bytes], state: Path, said: Path) -> str:
    deadline = time.monotonic() + _START_S
    problems: list[str] = []
    while time.monotonic() < deadline:
        if process.poll() is not None:
            words = said.read_text().strip() or "it said nothing"
            raise ServiceError(f"the service ended with code {process.returncode}: {words}")
        facts = read_json(state)
        if facts.get("pid") == process.pid:
            url = str(facts["url"])
            readiness = httpx.get(f"{url}/readyz", timeout=30, trust_env=False).json()
            problems = readiness["problems"]
            if readiness["ready"]:
                return url
            if problems:
                break
        time.sleep(0.05)
    why = "; ".join(problems) or f"nothing happened for {_START_S} s"
    raise ServiceError(f"the service does not become ready: {why}", hint=f"read {said}")


def drive(url: str, visitors: Visitors, *, concurrency: int = 8, progress: Progress = silent) -> LiveResult:
    """Let the visitors come, `concurrency` at a time, each asking once and reacting before the next one comes."""
    return asyncio.run(_drive(url, visitors, concurrency, progress))


async def _drive(url: str, visitors: Visitors, concurrency: int, progress: Progress) -> LiveResult:
    queue = list(enumerate(visitors))[::-1]
    took: list[float] = []
    verdicts: Counter[str] = Counter()
    rungs: Counter[str] = Counter()
    failed = sent = 0
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:

        async def one_lane() -> None:
            nonlocal failed, sent
            while queue:
                i, visit = queue.pop()
                progress("sending live requests", i / max(len(visitors), 1))
                began = time.perf_counter()
                response = await client.post("/v1/decide", json=visit.ask())
                took.append(time.perf_counter() - began)
                if response.status_code != 200:
                    failed += 1
                    continue
                answer = response.json()
                rungs.update(answer["rungs"])
                if rows := visit.react(answer):
                    posted = await client.post("/v1/events", json=rows)
                    failed += posted.status_code != 200
                    sent += len(rows)
                    if posted.status_code == 200:
                        verdicts.update(v["status"] for v in posted.json()["verdicts"])

        began = time.perf_counter()
        await asyncio.gather(*(one_lane() for _ in range(concurrency)))
        wall = time.perf_counter() - began
    p50, p95, p99 = (np.percentile(took, [50, 95, 99]) * 1e3).tolist() if took else (math.nan,) * 3
    return LiveResult(
        len(took), sent, failed, concurrency, len(took) / wall, p50, p95, p99, dict(verdicts), dict(rungs)
    )


def with_stages(home: Home, result: LiveResult) -> LiveResult:
    """The result with the times of each stage, as the decisions in the log state them."""
    return replace(result, stages=_stage_times(home, result.decisions))


def _stage_times(home: Home, last: int) -> dict[str, dict[str, float]]:
    """Median and 99th percentile of each stage over the newest `last` decisions of the log, in milliseconds."""
    with home.log() as log:
        table = log.read(0, log.end()[0], ["decision"]).get("decision")
    if table is None:
        return {}
    records = [msgspec.json.decode(text)["took_ns"] for text in table["record"][-last:].tolist()]
    names = dict.fromkeys(name for record in records for name in record)
    times = {name: np.array([record[name] for record in records if name in record]) / 1e6 for name in names}
    times["all stages"] = np.array([sum(record.values()) for record in records]) / 1e6
    return {name: {f"p{p}_ms": float(np.percentile(values, p)) for p in (50, 95, 99)} for name, values in times.items()}

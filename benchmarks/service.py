"""Decisions over loopback: one server process, one client, `concurrency` requests at a time.

`python -m benchmarks.service` measures the serving path alone, on a synthetic system of the flagship's size (7,583
items, 40 features, 500 candidates ranked, arithmetic in place of models); `load` is what other benchmarks reuse.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Load", "load", "stage_means"]


@dataclass(frozen=True, slots=True)
class Load:
    """What a client saw: requests answered, those that failed, requests a second, and latencies in milliseconds."""

    requests: int
    failed: int
    per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def load(url: str, body: Callable[[int], Any], *, count: int, path: str = "/v1/decide", concurrency: int = 8) -> Load:
    """Post `body(i)` for i in 0 .. count over `concurrency` kept connections, each sending when it has its answer.

    The first 100 numbers are negative and not measured. The client is bare sockets, so that what it costs itself stays
    small beside what it measures.
    """
    return asyncio.run(_load(url, body, count=count, path=path, concurrency=concurrency))


async def _load(url: str, body: Callable[[int], Any], *, count: int, path: str, concurrency: int) -> Load:
    host, port = url.removeprefix("http://").rsplit(":", 1)
    numbers = iter(range(-100, count))
    took: list[float] = []
    failed = 0
    began = 0.0

    async def lane() -> None:
        nonlocal failed, began
        reader, writer = await asyncio.open_connection(host, int(port))
        for i in numbers:
            if i == 0:
                began = time.perf_counter()
            data = json.dumps(body(i)).encode()
            lines = (f"POST {path} HTTP/1.1", f"host: {host}", f"content-length: {len(data)}", "", "")
            start = time.perf_counter()
            writer.write("\r\n".join(lines).encode() + data)
            status = await _answer(reader)
            if i >= 0:
                took.append(time.perf_counter() - start)
                failed += status != 200
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(lane() for _ in range(concurrency)))
    wall = time.perf_counter() - began
    p50, p95, p99 = (np.percentile(took, [50, 95, 99]) * 1e3).tolist()
    return Load(len(took), failed, len(took) / wall, p50, p95, p99)


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
    await reader.readexactly(length)
    return int(lines[0].split()[1])


def stage_means(exposition: str) -> Mapping[str, float]:
    """Mean milliseconds of each stage, out of a service's /metrics."""
    sums = re.findall(r'^sixfold_stage_seconds_sum{stage="([^"]+)"} (\S+)$', exposition, re.MULTILINE)
    counts = dict(re.findall(r'^sixfold_stage_seconds_count{stage="([^"]+)"} (\S+)$', exposition, re.MULTILINE))
    return {stage: 1e3 * float(total) / float(counts[stage]) for stage, total in sums}


def main() -> None:
    """Start the synthetic service on one core, load it from another, and print the figures."""
    import httpx
    import psutil

    rng = np.random.default_rng(0)
    users = rng.integers(0, 2_000, 100_000).tolist()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.service", "--serve", folder]
        process = subprocess.Popen(command)
        try:
            url = _await_url(Path(folder) / "url", process)
            server = psutil.Process(process.pid)
            before = server.cpu_times()
            found = load(url, lambda i: {"user": users[i], "n": 20, "context": {"tab": "1"}}, count=3_000)
            after = server.cpu_times()
            stages = stage_means(httpx.get(f"{url}/metrics").text)
        finally:
            process.terminate()
            process.wait()
    print(
        f"decide at concurrency 8, server on one core: {found.per_second:.0f}/s, p50 {found.p50_ms:.1f} ms, "
        f"p95 {found.p95_ms:.1f} ms, p99 {found.p99_ms:.1f} ms, {found.failed} failed of {found.requests}"
    )
    busy = after.user + after.system - before.user - before.system
    print(f"server CPU: {1e3 * busy / (found.requests + 100):.2f} ms a decision")
    print("stages, mean ms: " + ", ".join(f"{stage} {ms:.3f}" for stage, ms in stages.items()))


def _await_url(path: Path, process: subprocess.Popen[bytes]) -> str:
    while not path.exists():
        if process.poll() is not None:
            raise SystemExit("the service did not start")
        time.sleep(0.05)
    return path.read_text()


def serve_synthetic(folder: Path) -> None:
    """The service under load: the small system at the flagship's size."""
    from sixfold._core.times import system_clock
    from sixfold.engines.sqlite.log import SqliteLog
    from sixfold.engines.sqlite.quarantine import SqliteQuarantine
    from sixfold.features import FeatureSet, attribute, count, mean, rate, request
    from sixfold.serve.selection import Cap, TopK
    from sixfold.serve.server import serve
    from sixfold.testing.small_service import (
        SmallSystem,
        long_view,
        meta,
        small_deployment,
        small_events,
        tell,
        user,
        video,
        watch,
    )

    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {0})
    over = ("1h", "1d", "7d")
    features = FeatureSet(
        count(watch, by=user, over=over), mean(watch.share, by=user, over=over), rate(long_view, by=user, over=over),
        count(watch, by=video, over=over), mean(watch.share, by=video, over=over),
        rate(long_view, by=video, over=over, prior=(1, 4)),
        count(watch, by=(user, meta.topic), over=over), mean(watch.share, by=(user, meta.topic), over=over),
        rate(long_view, by=(user, meta.topic), over=over), count(watch, by=meta.topic, over=over),
        mean(watch.share, by=meta.topic, over=over), rate(long_view, by=meta.topic, over=over),
        attribute(meta.duration_ms), attribute(meta.topic), request("tab", str), request("hour", float),
    )  # fmt: skip
    select = TopK(20, cap=Cap(meta.topic, 6), explore=1)
    system = SmallSystem(7_583, features, select, budget_ms=50.0, found=300, keep=500)
    with SqliteLog(folder / "log.db") as log, SqliteQuarantine(folder / "log.db") as quarantine:
        log.append(small_events(system, n_users=2_000, n_watches=200_000), now=system_clock())
        deployment = small_deployment(system, log, quarantine)
        serve(deployment, port=0, ready=lambda url: tell(folder / "url", url))


if __name__ == "__main__":
    serve_synthetic(Path(sys.argv[2])) if "--serve" in sys.argv else main()

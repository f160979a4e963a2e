"""The conformance kit of systems: `check_system(system)` runs all six phases on a tiny world and holds them to laws."""

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from sixfold._core.errors import SixfoldError
from sixfold._core.times import DAY, duration
from sixfold.data.calendar import Calendar
from sixfold.data.source import Source
from sixfold.run.audit import audit_decisions
from sixfold.run.evaluate import evaluate
from sixfold.run.home import Home, open_home
from sixfold.run.ingest import ingest
from sixfold.run.inspect import replay_decision
from sixfold.run.prepare import prepare
from sixfold.run.release import bundle, serve_release
from sixfold.run.report import make_report
from sixfold.run.requests import body_of
from sixfold.run.serve import one_thread, open_deployment
from sixfold.run.train import train
from sixfold.serve.http import application
from sixfold.serve.service import Service
from sixfold.system import System
from sixfold.worlds.declared import DeclaredWorld

__all__ = ["Checked", "check_system", "tiny_world"]

_REQUESTS = 12


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check_system` went through: events, decisions that were served and replayed, values that were audited."""

    system: str
    events: int
    decisions: int
    audited: int
    seconds: dict[str, float]


def tiny_world(system: System, *, seed: int = 0) -> DeclaredWorld:
    """Generated events of every stream of a system, over as many days as its split takes."""
    split = system.plan.split
    days = sum(duration(getattr(split, part)) for part in ("train", "validate", "test", "gap")) // DAY + 1
    # The series of a forecast must be so few that each sells on many days.
    subjects = 15 if isinstance(system.spine, Calendar) else 60
    spine = system.spine.name
    return DeclaredWorld(system.streams, system.labels, spine, days, system.contracts, subjects=subjects, seed=seed)


def check_system(system: System, *, source: Source | None = None, seed: int = 0) -> Checked:
    """Hold a system to what Sixfold promises of every one, on `source` or on events generated from its declarations.

    It must take the events in, train, be judged, be bundled, decide over HTTP without leaving a stage out, know a
    decision again byte for byte after a restart, and have served exactly the values that the log gives. Whether its
    gates pass is not asked: the world is too small. Raises AssertionError with the law that was broken and how.
    """
    source = source if source is not None else tiny_world(system, seed=seed)
    with tempfile.TemporaryDirectory(prefix="sixfold-") as folder:
        home = open_home(Path(folder), system.name, source.name)
        taken = _step("takes its events in", lambda: ingest(home, system, source))
        _law(taken.accepted > 0, "takes its events in", f"nothing was accepted: {taken.reasons}")
        prepared = _step("computes its features", lambda: prepare(home, system))
        trained = _step("trains", lambda: train(home, system, seed=seed, prepared=prepared))
        judged = _step("is judged", lambda: evaluate(home, system, seed=seed, prepared=prepared))
        _step("is reported", lambda: make_report(home, system, prepared, judged))
        made = _step("is bundled", lambda: bundle(home, system))
        _step("is released", lambda: serve_release(home, made, "to be checked"))
        rows = prepared.test.spine.take(slice(0, _REQUESTS)).rows()
        answers = _step("serves", lambda: asyncio.run(_served(home, system, [body_of(system, row) for row in rows])))
        for answer in answers:
            whole = not answer["rungs"] and all(item["value"] is not None for item in answer["items"])
            _law(whole and answer["items"], "decides with all its stages", f"a decision left something out: {answer}")
            again = _step("replays", partial(replay_decision, home, system, answer["decision"]))
            _law(again.same, "replays byte for byte", f"answered {again.expected}, and later {again.got}")
        report = _step("is audited", lambda: audit_decisions(home, system))
        _law(not report.wrong, "serves the values that the log gives", f"{report.wrong} of {report.compared} differ")
    return Checked(system.name, taken.accepted, len(answers), report.compared, trained.seconds)


async def _served(home: Home, system: System, bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of a service of the home, which is then stopped."""
    with one_thread(), open_deployment(home, system) as stage:
        service = Service(stage.deployment)
        await service.start()
        transport = httpx.ASGITransport(app=application(service))
        try:
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                responses = [await client.post("/v1/decide", json=body) for body in bodies]
        finally:
            await service.stop()
    for response in responses:
        _law(response.status_code == 200, "answers every request", f"{response.status_code}: {response.text}")
    return [response.json() for response in responses]


def _step(law: str, run: Callable[[], Any]) -> Any:
    try:
        return run()
    except SixfoldError as error:
        raise AssertionError(f"a system {law}: {error}") from error


def _law(holds: object, law: str, how: str) -> None:
    if not holds:
        raise AssertionError(f"a system {law}: {how}")

"""A budget of alerts over the real service: what was raised today is in the log before the next event is decided."""

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from sixfold._core.times import DAY
from sixfold.operate.releases import champion
from sixfold.run.audit import audit_decisions
from sixfold.run.evaluate import evaluate
from sixfold.run.home import Home, open_home
from sixfold.run.ingest import ingest
from sixfold.run.inspect import replay_decision
from sixfold.run.prepare import prepare
from sixfold.run.release import bundle, serve_release
from sixfold.run.serve import one_thread, open_deployment
from sixfold.run.train import train
from sixfold.serve import AlertBudget, DecisionRequest
from sixfold.serve.bound import BoundPipeline
from sixfold.serve.http import application
from sixfold.serve.service import Service
from sixfold.system import System, load_system
from sixfold.testing.stage_kit import check_stage
from sixfold.worlds.cards import Cards, CardsConfig

PER_DAY = 4
WORLD = CardsConfig(customers=80, terminals=60, days=52, terminal_share=0.004, customer_share=0.004)


def eager() -> System:
    """The fraud system with a small budget, and looks that cost nearly nothing: nearly everything is worth one."""
    system = load_system("fraud")
    budget = system.pipeline.act
    assert isinstance(budget, AlertBudget)
    rule = replace(budget.rule, cost=1e-6)
    return replace(system, pipeline=replace(system.pipeline, act=replace(budget, rule=rule, per_day=PER_DAY)))


def test_a_day_never_has_more_alerts_than_there_is_time_for(tmp_path: Path) -> None:
    system, world = eager(), Cards(WORLD, seed=2)
    home = open_home(tmp_path, system.name, world.name)
    ingest(home, system, world)
    prepared = prepare(home, system)
    train(home, system, seed=0, prepared=prepared)
    evaluate(home, system, seed=0, prepared=prepared)
    serve_release(home, bundle(home, system), "to be tried")
    answers = asyncio.run(_visited(home, system, world))
    raised = Counter(answer["at"] // DAY for answer in answers if answer["items"][0]["id"] == "review")
    assert 0 < max(raised.values()) <= PER_DAY
    spent = np.array([answer["items"][0]["detail"]["spent"] for answer in answers])
    threshold = answers[0]["items"][0]["detail"]["threshold"]
    wanted = [i for i, a in enumerate(answers) if _gain(a) >= threshold]
    assert len(wanted) > raised.total(), "there was nothing that the budget kept back"
    assert spent.max() == PER_DAY
    for answer in (answers[wanted[0]], answers[wanted[-1]], answers[-1]):
        assert replay_decision(home, system, answer["decision"]).same
    assert not audit_decisions(home, system).wrong


def _gain(answer: dict[str, Any]) -> float:
    """By how much a look is expected to cost less than none."""
    detail = answer["items"][0]["detail"]
    return float(detail["probability"] * detail["amount"]) - 1e-6


def _check_actors(system: System, pipeline: BoundPipeline) -> None:
    """The budget, its rule, and one that nobody should ship, by the kit."""
    budget = system.pipeline.act
    assert isinstance(budget, AlertBudget)
    context = {"terminal": 3, "amount": 12.5, "night": False, "weekend": False}
    request = DecisionRequest("kit", 1, 1, 0, context)
    for actor in (budget, budget.rule):
        check_stage(actor, pipeline, request)
    with pytest.raises(AssertionError, match="default must be one of"):
        check_stage(replace(budget.rule, default="wait"), pipeline, request)


async def _visited(home: Home, system: System, world: Cards) -> list[dict[str, Any]]:
    """The answers to payments that come one after another, each in the log before the next."""
    answers = []
    with one_thread(), open_deployment(home, system) as stage:
        _check_actors(system, stage.deployment.load(str(champion(stage.log))))
        service = Service(stage.deployment)
        await service.start()
        try:
            transport = httpx.ASGITransport(app=application(service))
            async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
                for visit in world.visits(500, seed=1, prefix="live"):
                    answers.append((await client.post("/v1/decide", json=visit.ask())).json())
                    posted = await client.post("/v1/events", json=visit.react(answers[-1]))
                    assert {verdict["status"] for verdict in posted.json()["verdicts"]} == {"accepted"}
        finally:
            await service.stop()
    return answers

"""A handful of documents that answer questions, and a chat endpoint to try: real stages and HTTP, no training."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import ServiceError
from sixfold._core.table import Table, column
from sixfold._core.times import DAY
from sixfold.data.events import Events
from sixfold.data.ingest import Ingest
from sixfold.data.log import Log
from sixfold.data.quarantine import Quarantine
from sixfold.engines.memory.store import MemoryStore
from sixfold.features import FeatureSet, attribute
from sixfold.features.online import OnlineFeatures
from sixfold.frame import Entity, Rank
from sixfold.models.reading.contract import Reading
from sixfold.models.reading.question import question_of
from sixfold.models.reading.words import words_of
from sixfold.models.text import BM25
from sixfold.serve.bound import BoundPipeline, Content
from sixfold.serve.candidates import Blend
from sixfold.serve.extract import Extract
from sixfold.serve.pipeline import Pipeline
from sixfold.serve.scoring import Score
from sixfold.serve.selection import TopK
from sixfold.serve.service import Deployment
from sixfold.serve.sources import Match
from sixfold.serve.stages import Renderer
from sixfold.testing.servers import free_port

__all__ = ["READING", "ChatServer", "PlainReader", "SmallAnswers", "chat_server"]

question, passage = Entity("question", str), Entity("passage")
meta = Events("passage_meta", keys=(passage,), fields={"title": str, "text": str})
answer = Events("answer", keys=(question, passage), fields={"accepted": str})


@dataclass(frozen=True, slots=True)
class PlainReader:
    """Answers with the last capitalised word or number of the sentence that shares most words with the question.

    Its evidence is the share of the question's words in that sentence.
    """

    name: str = "reader"
    threshold: float = 0.6

    def read(self, question: str, passages: Sequence[str]) -> Reading | None:
        """The best sentence's last name or number."""
        terms, best = question_of(question).terms, None
        for number, text in enumerate(passages):
            words = words_of(text)
            for sentence in sorted(set(words.sentence.tolist())):
                rows = np.flatnonzero(words.sentence == sentence)
                share = sum(term in {words.stems[i] for i in rows} for term in terms) / max(len(terms), 1)
                named = [i for i in rows.tolist() if words.shapes[i, 0] or words.shapes[i, 2]]
                if named and (best is None or share > best.evidence):
                    start, end = int(words.starts[named[-1]]), int(words.ends[named[-1]])
                    best = Reading(number, start, end, text[start:end], share)
        return best

    def save(self, folder: Path) -> None:
        """Nothing was learnt."""
        (folder / "plain.txt").write_text(self.name)


READING = Extract(PlainReader(), attribute(meta.text), truth=answer.accepted, passages=3)
"""The stage that quotes."""


@dataclass(frozen=True, slots=True)
class _Covered:
    """A ranker that hands on how well the words match."""

    name: str = "ranker"
    heads: tuple[str, ...] = ("about",)

    def predict(self, features: Table) -> Table:
        return Table({"about": np.nan_to_num(features["bm25_covered"])})

    def save(self, folder: Path) -> None:
        (folder / "plain.txt").write_text(self.name)


@dataclass(frozen=True, slots=True)
class SmallAnswers:
    """Documents by key, and how answers are written."""

    texts: Mapping[int, str]
    render: Renderer = READING
    words: BM25 = field(default_factory=lambda: BM25((meta.title, meta.text)))

    @property
    def task(self) -> Rank:
        """Passages for a question."""
        return Rank(passage, per=question)

    @property
    def pipeline(self) -> Pipeline:
        """Found by words, and written about."""
        score = Score(_Covered(), also=(self.words,))
        return Pipeline(
            sources=(Match(self.words, 10),),
            blend=Blend(keep=10),
            score=score,
            select=TopK(3),
            render=self.render,
            budget_ms=60_000,
        )

    def events(self) -> dict[str, Table]:
        """What the log holds of the documents."""
        n = len(self.texts)
        columns = {
            "id": column([f"p{key}" for key in self.texts], str),
            "at": np.full(n, DAY) + np.arange(n),
            "passage": np.array(list(self.texts), np.int64),
            "title": column([""] * n, str),
            "text": column(list(self.texts.values()), str),
        }
        return {"passage_meta": Table(columns)}

    def bind(self, release: str, features: OnlineFeatures) -> BoundPipeline:
        """The pipeline over a state."""
        rows = self.events()["passage_meta"]
        index = self.words.fit(Table({"item": rows["passage"], "title": rows["title"], "text": rows["text"]}), seed=0)
        models: dict[str, Any] = {"bm25": index, "ranker": _Covered(), "reader": PlainReader()}
        return self.pipeline.bind(Content(release, models, ()), features, task=self.task)

    def state(self, log: Log, stop: int | None = None) -> OnlineFeatures:
        """The features of the log up to `stop`."""
        features = OnlineFeatures(FeatureSet(self.pipeline.features), MemoryStore(), read=log.read)
        end = log.end()[0] if stop is None else stop
        features.fold(log.read(0, end), end)
        return features

    def deployment(self, log: Log, quarantine: Quarantine) -> Deployment:
        """All that a service needs, over a log that is filled here if it is empty."""
        if log.end()[0] == 0:
            log.append(self.events(), now=2 * DAY)
        features = self.state(log)
        return Deployment(
            system="small",
            log=log,
            ingest=Ingest(log, quarantine, (meta, answer)),
            features=features,
            clock=lambda: 3 * DAY,
            task=self.task,
            load=lambda release: self.bind(release, features),
            rebuild=lambda release, offset: self.bind(release, self.state(log, offset)),
            releases=("a",),
        )


@dataclass(slots=True)
class ChatServer:
    """A running endpoint: where it is, and every request it got as (body, headers)."""

    url: str
    asked: list[tuple[dict[str, Any], dict[str, str]]] = field(default_factory=list)


@contextmanager
def chat_server(reply: Callable[[dict[str, Any]], Any]) -> Iterator[ChatServer]:
    """An endpoint for chat completions over real HTTP; `reply` makes the text, or a whole starlette Response."""
    import uvicorn
    from fastapi import FastAPI, Request, Response

    app, server = FastAPI(), ChatServer(f"http://127.0.0.1:{free_port()}")

    async def complete(request: Request) -> Any:
        body = await request.json()
        server.asked.append((body, dict(request.headers)))
        said = await asyncio.to_thread(reply, body)
        return (
            said if isinstance(said, Response) else {"choices": [{"message": {"role": "assistant", "content": said}}]}
        )

    app.post("/v1/chat/completions", response_model=None)(complete)
    port = int(server.url.rsplit(":", 1)[1])
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off"))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not running.started:
        if time.monotonic() > until or not thread.is_alive():
            raise ServiceError(f"the chat endpoint did not start on port {port}")
        time.sleep(0.01)
    try:
        yield server
    finally:
        running.should_exit = True
        thread.join(timeout=10)

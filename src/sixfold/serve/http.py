"""The HTTP application: FastAPI for convention and OpenAPI, msgspec on raw bytes where requests are many."""

import logging
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi_offline import FastAPIOffline  # /docs without a content network: its scripts come from here
from starlette.exceptions import HTTPException

from sixfold import __version__
from sixfold._core.errors import (
    ConflictError,
    InputError,
    NotFoundError,
    SixfoldError,
    TooLargeError,
)
from sixfold.serve.decision import Answer
from sixfold.serve.service import Service
from sixfold.serve.wire import LIMITS, Batch, Explained, Failure, Mixed, Replayed, Verdicts, Wire

__all__ = ["application"]

_log = logging.getLogger(__name__)
_JSON = "application/json"
_STATUS: tuple[tuple[type[SixfoldError], int], ...] = (
    (NotFoundError, 404),
    (ConflictError, 409),
    (TooLargeError, 413),
    (InputError, 400),
    (SixfoldError, 503),
)


def application(service: Service) -> FastAPI:
    """The application of a service that whoever serves it starts and stops."""
    app = FastAPIOffline(
        redoc_url=None,
        title=f"Sixfold: {service.deployment.system}",
        version=__version__,
        description="Decides, takes events, explains and replays. Every answer is in the log before it is sent.",
    )
    _add_errors(app, service)
    _add_hot_routes(app, service)
    _add_decision_routes(app, service)
    _add_operations(app, service)
    return app


def _add_errors(app: FastAPI, service: Service) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        status = _status(error)
        service.metrics.refused(status)
        if status == 500:
            _log.error("a request failed", exc_info=error)
        headers = {"Retry-After": "1"} if status == 503 else None
        if isinstance(error, SixfoldError):
            return _json(Failure(error.what, error.hint), status, headers)
        if isinstance(error, HTTPException):
            return _json(Failure(str(error.detail)), status, dict(error.headers or {}))
        return _json(Failure("something went wrong inside; the service's log says what"), status)

    for kind in (SixfoldError, HTTPException, Exception):
        app.add_exception_handler(kind, refused)


def _status(error: Exception) -> int:
    if isinstance(error, HTTPException):
        return error.status_code
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def _add_hot_routes(app: FastAPI, service: Service) -> None:
    wire = Wire(service.deployment.task, service.types)

    answers = _answers(Answer, 400, 409, 413, 503)
    verdicts = _answers(Verdicts, 400, 413, 503)

    @app.post("/v1/decide", tags=["decide"], openapi_extra=_body(wire.body), responses=answers)
    async def decide(request: Request) -> Response:
        """What to show whom. The answer is in the log before it is sent; an `id` sent twice gets the same answer."""
        ask = wire.ask(await _read(request))
        return Response(await service.decide(ask.subject, ask.n, ask.context, ask.id), media_type=_JSON)

    @app.post("/v1/events", tags=["events"], openapi_extra=_body(Batch | Mixed), responses=verdicts)
    async def events(request: Request) -> Response:
        """Facts. Each row gets a verdict; accepted rows are durable and count in the next decision."""
        return _json(await service.events(wire.rows(await _read(request))))


def _add_decision_routes(app: FastAPI, service: Service) -> None:
    @app.get("/v1/decisions/{id}", tags=["decide"], responses=_answers(Explained, 404, 503))
    async def explain(id: str) -> Response:  # noqa: A002 (the name of the path parameter)
        """A decision as it was logged: what was asked, answered, and why."""
        row = (await service.decision(id)).row(0)
        parts = (msgspec.Raw(row[name].encode()) for name in ("request", "response", "record"))
        return _json(Explained(row["id"], row["offset"], row["seed"], *parts))

    @app.post("/v1/decisions/{id}/replay", tags=["decide"], responses=_answers(Replayed, 404, 503))
    async def replay(id: str) -> Response:  # noqa: A002
        """Make a decision again, as of then, and compare it byte for byte."""
        result = await service.replay(id)
        if result.same:
            return _json(Replayed(id, True))
        expected, got = (msgspec.json.decode(part, type=Answer) for part in (result.expected, result.got))
        return _json(Replayed(id, False, expected, got, rewritten=result.rewritten or msgspec.UNSET))


def _add_operations(app: FastAPI, service: Service) -> None:
    @app.get("/", tags=["operate"])
    async def about() -> Response:
        """What this is."""
        links = {"openapi": "/docs", "health": "/healthz", "readiness": "/readyz", "metrics": "/metrics"}
        what = {"service": "Sixfold", "version": __version__, "system": service.deployment.system}
        return _json({**what, "release": service.release, "links": links})

    @app.get("/healthz", tags=["operate"])
    async def health() -> Response:
        """The process answers."""
        return _json({"status": "ok"})

    @app.get("/readyz", tags=["operate"], responses={503: {"description": "Not ready; the problems say why"}})
    async def readiness() -> Response:
        """Whether decisions are answered, by which release, and every known problem."""
        found = service.readiness()
        return _json(found, 200 if found.ready else 503)

    @app.get("/metrics", tags=["operate"], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counters and timings for Prometheus."""
        return Response(service.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _read(request: Request) -> bytes:
    """The body, if it is not too large."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LIMITS.body_bytes:
            raise TooLargeError(f"the body is larger than {LIMITS.body_bytes} bytes", hint="send it in parts")
        parts.append(part)
    return b"".join(parts)


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type=_JSON)


def _schema(kind: Any) -> dict[str, Any]:
    """The JSON schema of a type, whole in itself."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="{name}")
    return dict(_inlined(schema, parts))


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(parts[schema["$ref"]], parts)
        return {key: _inlined(value, parts) for key, value in schema.items()}
    return [_inlined(value, parts) for value in schema] if isinstance(schema, list) else schema


def _body(kind: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {_JSON: {"schema": _schema(kind)}}}}


_PROBLEMS = {
    400: "The request cannot be used; the error says why",
    404: "Nothing has that id",
    409: "The id was used for another request",
    413: "The body is too large",
    503: "Not now; try again after `Retry-After` seconds",
}


def _answers(kind: Any, *statuses: int) -> dict[int | str, dict[str, Any]]:
    failure = {_JSON: {"schema": _schema(Failure)}}
    found: dict[int | str, dict[str, Any]] = {200: {"content": {_JSON: {"schema": _schema(kind)}}}}
    return found | {status: {"description": _PROBLEMS[status], "content": failure} for status in statuses}

"""Requests as a recorded log would have sent them: from a row of the spine to what is asked."""

from collections.abc import Mapping
from typing import Any

from sixfold.data.calendar import Calendar
from sixfold.features.definitions import Request
from sixfold.serve import DecisionRequest
from sixfold.system import System

__all__ = ["body_of", "request_fields", "request_of"]


def request_fields(system: System) -> dict[str, type]:
    """What a request says besides whom it is for: other entities it names, and the fields that features read.

    What a calendar knows of the steps ahead nobody needs to say.
    """
    named = {entity.name: entity.key for entity in system.problem.task.about}
    read = {f.name: f.kind for f in system.online_features.primitives if isinstance(f, Request)}
    beforehand = system.spine.known if isinstance(system.spine, Calendar) else ()
    return named | {name: kind for name, kind in read.items() if name not in beforehand}


def body_of(system: System, row: Mapping[str, Any]) -> dict[str, Any]:
    """The body of POST /v1/decide that stands for a row of the spine, a field that is missing left out."""
    per = system.problem.task.per.name
    context = {name: row[name] for name in request_fields(system) if name in row and row[name] == row[name]}
    return {per: row[per], "context": context}


def request_of(system: System, row: Mapping[str, Any], name: str, at: int) -> DecisionRequest:
    """The same as a request to a pipeline, at the instant `at`."""
    body = body_of(system, row)
    return DecisionRequest(name, body[system.problem.task.per.name], system.pipeline.n, at, body["context"])

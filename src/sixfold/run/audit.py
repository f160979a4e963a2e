"""The audit of a home: what was served against what the log says, over any time, on any engine."""

from collections.abc import Mapping

import numpy as np

from sixfold._core.errors import InputError
from sixfold.data.privacy import erasures, rewritten
from sixfold.features.absence import AS_IS
from sixfold.features.audit import AuditReport, audit
from sixfold.features.batch import as_of
from sixfold.features.dataset import AsOf
from sixfold.models.contract import Progress, silent
from sixfold.run.home import Home
from sixfold.run.served import ALL_TIME, served
from sixfold.system import System

__all__ = ["ENGINES", "audit_decisions", "evaluator"]

ENGINES = ("numpy", "duckdb")


def evaluator(engine: str) -> AsOf:
    """The batch evaluator of that name; InputError if there is none, FeatureError if it lacks a package."""
    if engine == "numpy":
        return as_of
    if engine == "duckdb":
        from sixfold.engines.relational import DuckDbEngine

        return DuckDbEngine().as_of
    raise InputError(f"there is no engine {engine!r}", hint=f"use {' or '.join(ENGINES)}")


def audit_decisions(
    home: Home,
    system: System,
    *,
    last: int | None = 1000,
    within: tuple[int, int] = ALL_TIME,
    engine: str = "numpy",
    progress: Progress = silent,
) -> AuditReport:
    """Recompute the features of the decisions made in `within`, the newest `last` of them, and compare.

    A piece of the log at a time: memory is that of the events that features read. Raises InputError if there is nothing
    to audit.
    """
    evaluate = evaluator(engine)
    answering = [f.name for f in system.features if f.absence is not None and f.absence.down is not AS_IS]
    report = AuditReport(())
    with home.log() as log:
        end = log.end()[0]
        progress("reading the log", 0.0)
        history = log.read(0, end, system.features.follows)
        facts = erasures(log)
        for piece in served(home, system, log, last=last, within=within):
            answered: Mapping[str, np.ndarray] = dict.fromkeys(answering, piece.down)
            if piece.decisions:
                rows = piece.points.with_columns(dict(piece.values.select(system.features.names)))
                past = rewritten(facts, rows["offset"])
                for mine, is_past in ((~past, False), (past, True)):
                    if not mine.any():
                        continue
                    some = {name: down[mine] for name, down in answered.items()}
                    found = audit(system.features, history, rows.take(mine), evaluate=evaluate, answered=some)
                    report += AuditReport((), rewritten=found.wrong) if is_past else found
            report = report.counted(piece.decisions, piece.skipped)
            if piece.decisions:
                share = report.decisions / last if last else 1 - float(piece.points["offset"].min()) / end
                progress("recomputing served features from the log", share)
    if not report.decisions:
        other = f" of these features; {report.skipped:,} were made by releases with others" if report.skipped else ""
        raise InputError(f"there are no ranked decisions{other} to audit", hint="decide: `sixfold decide --user 1`")
    return report

"""Step 6, release: the candidate that passed its gates becomes an immutable bundle, and moves are facts in the log."""

from dataclasses import dataclass
from typing import Any

from sixfold._core.errors import ReleaseError
from sixfold.operate.releases import build_release as build
from sixfold.operate.releases import champion, moves, open_release, previous, promote
from sixfold.run.home import Home, read_json
from sixfold.run.lineage import definitions
from sixfold.system import System

__all__ = ["Released", "bundle", "release", "release_history", "roll_back", "serve_release"]


@dataclass(frozen=True, slots=True)
class Released:
    """The release that serves now, what did before, and what its gates said."""

    release: str
    before: str | None
    action: str
    gates: tuple[dict[str, Any], ...] = ()


def release(home: Home, system: System, *, why: str = "") -> Released:
    """Bundle the evaluated candidate and make it serve; ReleaseError with every reason if a gate refuses it."""
    gates = tuple(_candidate(home, system)[1]["gates"])
    if refused := [gate["why"] for gate in gates if not gate["passed"]]:
        raise ReleaseError("the candidate is refused: " + " ".join(refused), hint=f"see {home.report}")
    return serve_release(home, bundle(home, system), why or "passed its gates", gates=gates)


def _candidate(home: Home, system: System) -> tuple[dict[str, Any], dict[str, Any]]:
    """What training and evaluation said of the candidate; ReleaseError if it is not one of this system, evaluated."""
    trained = read_json(home.candidate / "train.json")
    judged = read_json(home.candidate / "evaluation.json")
    if not trained:
        raise ReleaseError("there is no candidate to release", hint="run `sixfold train`, then `sixfold evaluate`")
    if judged.get("fingerprint") != trained["fingerprint"]:
        raise ReleaseError("the candidate has not been evaluated", hint="run `sixfold evaluate`")
    if trained["system"] != system.fingerprint:
        raise ReleaseError(
            f"the candidate was trained for another version of the system {system.name!r}", hint="run `sixfold train`"
        )
    return trained, judged


def bundle(home: Home, system: System) -> str:
    """Make the evaluated candidate a release that may serve, whatever its gates said; returns its name."""
    trained, judged = _candidate(home, system)
    about = {
        "name": system.name,
        "system": system.fingerprint,
        "features": system.features.fingerprint,
        "definitions": definitions(system),
        "trained": trained["fingerprint"],
        "seed": trained["seed"],
        "until": trained.get("until"),  # the last arrival in the prefix of the log that it learned from
        "measured": judged["measured"],
    }
    return build(home.releases, home.candidate / "content", about).id


def serve_release(home: Home, release_id: str, why: str, *, gates: tuple[dict[str, Any], ...] = ()) -> Released:
    """Make a checked release the one that serves; nothing is written if it serves already."""
    open_release(home.releases, release_id)
    with home.log() as log:
        before = champion(log)
        if before == release_id:
            return Released(release_id, before, "unchanged", gates)
        promote(log, release_id, why, now=home.clock(log.end()[1])())
        return Released(release_id, before, "promote", gates)


def roll_back(home: Home, why: str) -> Released:
    """Go back to the release that served before."""
    with home.log() as log:
        before, target = champion(log), previous(log)
        open_release(home.releases, target)
        promote(log, target, why, now=home.clock(log.end()[1])(), action="rollback")
        return Released(target, before, "rollback")


def release_history(home: Home) -> list[dict[str, Any]]:
    """Every move, oldest first, as plain values."""
    with home.log() as log:
        return [
            {"at": move.at, "release": move.release, "action": move.action, "why": move.why, "offset": move.offset}
            for move in moves(log)
        ]

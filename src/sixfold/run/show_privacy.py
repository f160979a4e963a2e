"""Erasures and exports as a person reads them on a terminal."""

from rich.console import Group, RenderableType
from rich.text import Text

from sixfold.run.certificate import Certificate, Verified
from sixfold.run.exports import Exported
from sixfold.run.forms import grid, render

__all__: list[str] = []


@render.register
def _(result: Certificate) -> RenderableType:
    body, found = result.body, result.body["found"]
    table = grid("erased", "")
    for stream, n in found["events"].items():
        table.add_row(f"events of {stream}", f"{n:,}")
    for what in ("decisions that showed it", "rows in quarantine", "snapshots"):
        table.add_row(what, f"{found[what]:,}")
    table.add_row("candidate", "yes" if found["candidate"] else "no")
    for one in body["exports"]:
        table.add_row(f"{one['kind']} {one['file']}", one["what"])
    files = body["files"]
    table.add_row("files written anew, removed", f"{len(files['written'])}, {len(files['removed'])}")
    asked = body["asked"]
    head = Text(f"a {asked['entity']} was erased; they are known as {asked['subject']}", style="bold")
    parts = [head, table, *_releases(result), *_residue(body["verification"]["found"])]
    checked = body["verification"]
    said = (
        f"{checked['files']:,} files, {checked['bytes']:,} bytes searched: {len(checked['found'])} with anything left"
    )
    return Group(*parts, Text(said), Text(f"certificate: {result.file}"))


def _releases(result: Certificate) -> list[RenderableType]:
    if not result.releases:
        return [Text("no release learned from it")]
    table = grid("releases that learned from it", "up to", "")
    for one in result.releases:
        table.add_row(one["release"], one["until"], "serves" if one["serves"] else "")
    done = result.body["retraining"]
    if "release" in done:
        return [table, Text(f"trained again: release {done['release']} serves now")]
    if "refused" in done:
        return [table, Text(f"trained again, but {done['refused']}", style="bold red")]
    return [table, *([Text("train again: `sixfold forget` without --no-retrain")] if result.must_retrain else [])]


def _residue(found: list[dict[str, object]]) -> list[RenderableType]:
    return [Text(f"left in {one['file']}: {one['where']}, {one['times']} times", style="bold red") for one in found]


@render.register
def _(result: Verified) -> RenderableType:
    size = f"{result.scanned.files:,} files, {result.scanned.bytes:,} bytes searched"
    if result.confirmed:
        return Text(f"confirmed at {result.at}: {size}, nothing left")
    lines = [f"left in {one.file}: {one.where}, {one.times} times" for one in result.scanned.found]
    head = Text(f"not confirmed at {result.at}: {size}", style="bold red")
    return Group(head, *(Text(line) for line in (*result.problems, *lines)))


@render.register
def _(result: Exported) -> RenderableType:
    masked = f"; pseudonyms in the place of {', '.join(result.masked)}" if result.masked else "; nothing is personal"
    return Text(f"{result.rows:,} events of {result.stream} in {result.file}{masked}")

"""A first system file of your own: one that works at once, commented, with a small data set to replace by yours."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from sixfold import worlds
from sixfold._core.errors import InputError
from sixfold.system import load_system, system_names

__all__ = ["Started", "likenesses", "start"]

_SAID = {
    "Entity": "Who and what the system is about. A key is a whole number, or text: Entity('query', str).",
    "Events": "1. Facts, one stream for each kind, as they come in. Each has `at`, when it happened, and `arrived`,\n"
    "when we learned of it. float and str fields may be missing.",
    "Contract": "2. What must hold for every event; one that breaks it goes to quarantine under the name given here.",
    "Label": "2. What came of an impression: attributed if it happens `within`, used for learning once it `matures`.",
    "Problem": "1. The problem as a contract: what gets better for whom, what outcomes are worth, what must hold.",
    "FeatureSet": "3. What the model sees, as known at the moment of each decision. Windows end with the last event\n"
    "before it; the same definition is computed for training and for serving.",
    "System": "4.-6. How it is judged, and the pipeline that serves. `sixfold check` lists all contradictions.",
}
_NAMED = {"partial": "Label"}


@dataclass(frozen=True, slots=True)
class Started:
    """What was written: the system file, the folder of its data set, and the events of each stream."""

    file: str
    data: str
    events: dict[str, int]
    next: tuple[str, ...]


def likenesses() -> dict[str, str]:
    """The systems that can be started from, and the small world that each is started with."""
    found = {name: load_system(name).data for name in system_names()}
    small = {name: f"{data}-tiny" if f"{data}-tiny" in worlds.NAMES else data for name, data in found.items()}
    return {name: data for name, data in small.items() if data in worlds.NAMES}


def start(name: str, like: str, folder: Path, *, seed: int = 0) -> Started:
    """Write NAME.py and the data set NAME-data into a folder; InputError, before any effect, if it cannot be."""
    from sixfold.datasets.folder import write_events

    known = likenesses()
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in system_names():
        raise InputError(
            f"a system cannot be called {name!r}",
            hint="use small letters, figures and _, and no name that comes with it",
        )
    if like not in known:
        raise InputError(f"there is nothing like {like!r} to start from", hint=f"use one of: {', '.join(known)}")
    file, data = folder / f"{name}.py", folder / f"{name}-data"
    for path in (file, data):
        if path.exists():
            raise InputError(f"{path} is there already", hint="choose another name, or another folder")
    world = worlds.open_world(known[like], seed)
    data.mkdir(parents=True)
    events = write_events(world.chunks(), data, utc_offset_s=world.utc_offset_s)
    file.write_text(commented(_source(like), name=name, like=like, data=data.name), encoding="utf-8")
    todo = (f"sixfold run {name}", f"sixfold features {name}", f"sixfold check {name}")
    return Started(str(file), str(data), events, todo)


def _source(system: str) -> str:
    import importlib.util

    spec = importlib.util.find_spec(f"sixfold.systems.{system}")
    if spec is None or spec.origin is None:
        raise InputError(f"the source of {system!r} is not installed")
    return Path(spec.origin).read_text(encoding="utf-8")


def commented(source: str, *, name: str, like: str, data: str) -> str:
    """The source of a system under another name, with a comment before the first of each kind of definition."""
    tree = ast.parse(source)
    lines = source.splitlines()
    notes: dict[int, str] = {}
    said: set[str] = set()
    for node in tree.body:
        for kind in (kind for kind in _defined(node) if kind not in said):
            said.add(kind)
            notes.setdefault(_first_line(node, lines), _SAID[kind])
    out: list[str] = []
    for i, line in enumerate(lines):
        if i in notes:
            out += [""] if out and out[-1] and not out[-1].startswith("#") else []
            out += [f"# {text}" for text in notes[i].splitlines()]
        out.append(line)
    text = "\n".join(out) + "\n"
    system = next(node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == "System")
    shipped = ast.literal_eval(next(k.value for k in system.keywords if k.arg == "data"))
    text = re.sub(rf'(System\(\s*)"{like}"', rf'\1"{name}"', text)
    return re.sub(rf'data="{shipped}"', f'data="{data}"', text)


def _defined(node: ast.stmt) -> list[str]:
    """Which kinds of definition a statement makes, `label = partial(Label, …)` counting as a label."""
    if not isinstance(node, ast.Assign):
        return []
    calls = [call for call in ast.walk(node.value) if isinstance(call, ast.Call)]
    return [kind for kind in map(_called, calls[:1]) if kind in _SAID]


def _called(call: ast.Call) -> str:
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    return _NAMED.get(name, name)


def _first_line(node: ast.stmt, lines: list[str]) -> int:
    """The line before which a comment on the statement goes: above a `# fmt: off`."""
    line = node.lineno - 1
    return line - 1 if line and lines[line - 1] == "# fmt: off" else line

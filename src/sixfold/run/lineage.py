"""Lineage of a system: what each event stream, label, feature, model, stage and release is made of and feeds into."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sixfold._core.errors import InputError
from sixfold._core.hashing import fingerprint
from sixfold.data.calendar import Calendar
from sixfold.data.events import Field
from sixfold.data.expr import Expr, leaves
from sixfold.data.labels import Label
from sixfold.features.definitions import Feature
from sixfold.features.lineage import changes, lineage_of, parts_of, versions
from sixfold.run.home import Home, read_json
from sixfold.serve import Popular, Retrieve
from sixfold.serve.stages import Filter, Source
from sixfold.system import System, describe, load_system, system_names

__all__ = ["Changed", "Compared", "Graph", "Node", "Traced", "compare_lineage", "definitions", "made_with", "trace"]


@dataclass(frozen=True, slots=True)
class Node:
    """One thing of a system; `needs` are the ids (kind and name) of what it is made of directly."""

    kind: str
    name: str
    version: str
    needs: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Kind and name."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Traced:
    """A part of the lineage: things with what they are made of, directly, and what is made of them."""

    system: str
    about: str
    nodes: tuple[Node, ...]
    upstream: tuple[str, ...] = ()
    downstream: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Changed:
    """A definition that is not the same: "changed", "added" or "removed"; versions are empty where there is none."""

    id: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What changed from one definition to another, and what that invalidates, each with one of the reasons."""

    before: str
    after: str
    changed: tuple[Changed, ...]
    invalid: dict[str, str] = field(default_factory=dict)


class Graph:
    """All of a system's things, in the order of the phases."""

    def __init__(self, system: System, home: Home | None = None) -> None:
        self.system = system
        self.nodes: dict[str, Node] = {}
        for node in (*_data(system), *_features(system), *_models(system), *_stages(system)):
            self.nodes.setdefault(node.id, node)
        needs = tuple(id_ for id_, node in self.nodes.items() if node.kind in ("model", "stage"))
        for release, about in _releases(home):
            node = Node("release", release, release, needs if about.get("system") == system.fingerprint else ())
            self.nodes[node.id] = node

    def find(self, name: str) -> list[Node]:
        """The things of that name."""
        found = [node for node in self.nodes.values() if name in (node.name, node.id)]
        if not found:
            raise InputError(
                f"{self.system.name} has nothing called {name!r}", hint=f"see `sixfold lineage {self.system.name}`"
            )
        return found

    def upstream(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Everything that the given things are made of, themselves left out."""
        return self._walk(ids, {id_: node.needs for id_, node in self.nodes.items()})

    def downstream(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Everything that is made of the given things, themselves left out."""
        feeds: dict[str, list[str]] = {}
        for id_, node in self.nodes.items():
            for need in node.needs:
                feeds.setdefault(need, []).append(id_)
        return self._walk(ids, feeds)

    def _walk(self, ids: Iterable[str], following: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
        found: dict[str, None] = {}
        start = list(ids)
        waiting = list(start)
        while waiting:
            for id_ in following.get(waiting.pop(), ()):
                if id_ not in found:
                    found[id_] = None
                    waiting.append(id_)
        return tuple(id_ for id_ in self.nodes if id_ in found and id_ not in start)


def trace(system: System, name: str | None = None, *, home: Home | None = None) -> Traced:
    """Everything with what it is made of, or what one thing is made of and what is made of it, however far away."""
    graph = Graph(system, home)
    if name is None:
        return Traced(system.name, "", tuple(graph.nodes.values()))
    found = graph.find(name)
    ids = [node.id for node in found]
    return Traced(system.name, ", ".join(ids), tuple(found), graph.upstream(ids), graph.downstream(ids))


def compare_lineage(system: System, against: str, *, home: Home | None = None) -> Compared:
    """What changed from `against` to the system: `against` is another system, its file, or a release of the home."""
    if against.endswith(".py") or against in system_names():
        other = load_system(against)
        old, new = Graph(other), Graph(system, home)
        before, name = _own_versions(other), against
    else:
        before, name = _recorded(home, against), f"release {against}"
        old = new = Graph(system, home)
    kinds = {id_.partition(" ")[0] for id_ in before}
    after = {id_: version for id_, version in _own_versions(system).items() if id_.partition(" ")[0] in kinds}
    found = [
        Changed(id_, what, before.get(id_, ""), after.get(id_, "")) for id_, what in changes(before, after).items()
    ]
    invalid: dict[str, str] = {}
    for change in found:
        for graph in (old, new):
            for id_ in graph.downstream([change.id]):
                invalid.setdefault(id_, f"{change.id} {change.what}")
    reason = f"{found[0].id} {found[0].what}" if found else ""
    for release, about in _releases(home):
        if about.get("system") != system.fingerprint:
            invalid[f"release {release}"] = reason or "made for another version of the system"
    order = [*new.nodes, *old.nodes]
    kept = {id_: invalid[id_] for id_ in dict.fromkeys(order) if id_ in invalid}
    return Compared(name, system.name, tuple(found), kept)


def definitions(system: System) -> dict[str, Any]:
    """What a release remembers of the definitions it was made with: the version of each feature and label."""
    labels = {label.name: fingerprint(label.spec())[:12] for label in system.labels}
    return {"features": versions(system.online_features), "labels": labels}


def made_with(about: Mapping[str, Any], system: System) -> list[str]:
    """In words, every definition that is not the one a release was made with; empty if it did not say."""
    if "definitions" not in about:
        return []
    now = definitions(system)
    out = []
    for kind, before in about["definitions"].items():
        for name, what in changes(before, now[kind]).items():
            versions_ = [f"{name}@{known[name]}" for known in (before, now[kind]) if name in known]
            out.append(f"{kind.removesuffix('s')} {what}: {' is now '.join(versions_)}")
    return out


def _own_versions(system: System) -> dict[str, str]:
    """The version of every definition by id."""
    return {node.id: node.version for node in Graph(system).nodes.values()}


def _recorded(home: Home | None, release: str) -> dict[str, str]:
    known = dict(_releases(home))
    about = known.get(release) or {}
    if "definitions" not in about:
        what = "did not record its definitions" if about else "is not known"
        listed = ", ".join(known) or "none"
        raise InputError(
            f"{release!r} {what}", hint=f"name a system, a system file (.py), or one of these releases: {listed}"
        )
    return {
        f"{kind.removesuffix('s')} {name}": version
        for kind, known in about["definitions"].items()
        for name, version in known.items()
    }


def _releases(home: Home | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every release of a home with what it says about itself."""
    if home is not None and home.releases.is_dir():
        for folder in sorted(home.releases.glob("[!.]*")):
            yield folder.name, read_json(folder / "manifest.json").get("about", {})


def _data(system: System) -> Iterator[Node]:
    for stream in system.streams:
        keys = [[key.name, key.key.__name__] for key in stream.keys]
        yield Node("stream", stream.name, fingerprint([stream.name, keys])[:12])
        for name, kind in stream.fields.items():
            yield Node("field", f"{stream.name}.{name}", kind.__name__, (f"stream {stream.name}",))
    for label in system.labels:
        yield _label(label)


def _label(label: Label) -> Node:
    parts = [label.expr, *([label.weight] if isinstance(label.weight, Expr) else [])]
    fields = {repr(leaf): None for part in parts for leaf in leaves(part) if isinstance(leaf, Field)}
    stream = label.of.events if isinstance(label.of, Calendar) else label.of
    needs = (*(f"field {name}" for name in fields), f"stream {stream.name}")
    return Node("label", label.name, fingerprint(label.spec())[:12], needs)


def _features(system: System) -> Iterator[Node]:
    waiting = list(system.online_features)
    while waiting:
        feature = waiting.pop(0)
        line = lineage_of(feature)
        parts = parts_of(feature)
        own = [f"field {name}" for name in line.fields] + [f"stream {name}" for name in line.streams]
        needs = [f"feature {part.name}" for part in parts] if parts else own
        yield Node("feature", feature.name, line.version, tuple(needs))
        waiting += parts


def _models(system: System) -> Iterator[Node]:
    heads = [getattr(head, "name", head) for head in getattr(system.ranker, "heads", ())]
    labels = [label.name for label in system.labels if not heads or label.name in heads]
    needs = [f"feature {name}" for name in system.features.names] + [f"label {name}" for name in labels]
    yield Node("model", system.ranker_name, _version(system.ranker), tuple(needs))
    item = system.problem.task.item
    about_items = [f"stream {stream.name}" for stream in system.streams if stream.keys == (item,)]
    for source in system.pipeline.sources:
        if isinstance(source, Retrieve):
            learns = [f"label {label.name}" for label in (system.plan.satisfied,) if label is not None]
            needs = [f"feature {source.history.name}", *learns, *about_items]
            yield Node("model", source.model.name, _version(source.model), tuple(needs))


def _stages(system: System) -> Iterator[Node]:
    pipeline = system.pipeline
    stages: list[Source | Filter | Popular] = [*pipeline.sources, *pipeline.filters]
    stages += [pipeline.fallback] if pipeline.fallback else []
    for stage in stages:
        needs = [f"feature {feature.name}" for feature in stage.features]
        if isinstance(stage, Retrieve):
            needs.append(f"model {stage.model.name}")
        yield Node("stage", stage.name, _version(stage), tuple(needs))
    yield Node("stage", "score", _version(pipeline.score), (f"model {system.ranker_name}",))
    before = "stage score"
    for name, last in (("select", pipeline.select), ("act", pipeline.act), ("render", pipeline.render)):
        if last is not None:
            yield Node(
                "stage", name, _version(last), (before, *(f"feature {feature.name}" for feature in last.features))
            )
            before = f"stage {name}"


def _version(config: Any) -> str:
    """Names a config's own settings; what else it is made of counts by its name."""
    return fingerprint([type(config).__name__, *(_own(getattr(config, part.name)) for part in fields(config))])[:12]


def _own(value: Any) -> Any:
    if isinstance(value, Feature | Label) or hasattr(value, "fit"):
        return value.name
    return [_own(part) for part in value] if isinstance(value, tuple) else describe(value)

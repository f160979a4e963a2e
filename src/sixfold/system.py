"""The system: one value that holds all six phases, checked as a whole, named by its content."""

import importlib
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from sixfold._core.errors import DefinitionError, InputError, SixfoldError
from sixfold._core.hashing import fingerprint
from sixfold._core.times import duration
from sixfold.data.calendar import Calendar
from sixfold.data.contract import Contract
from sixfold.data.events import Events, Field
from sixfold.data.expr import Expr
from sixfold.data.labels import Label
from sixfold.evaluate.plan import Plan
from sixfold.features.definitions import Feature
from sixfold.features.featureset import FeatureSet, needs
from sixfold.features.freshness import answer_problems
from sixfold.frame import Choose, Forecast, Problem, Rank
from sixfold.models.contract import Ranker, Retriever
from sixfold.operate.releases import RELEASES
from sixfold.serve.horizon import Horizon
from sixfold.serve.pipeline import Pipeline

__all__ = ["MEASURED", "System", "describe", "load_system", "system_names"]

RESERVED_STREAMS = ("decision", RELEASES.name)
MEASURED = ("p50_ms", "p99_ms", "ece", "ne", "auc", "recall@k", "recall@k_lift", "mean_ratio", "xauc")
"""What evaluation and the live run measure: the metrics that a limit can bound. `auc`, `ne` and `ece` are the worst
over the binary heads of the ranker; `recall@k` is that of the sources together, at the plan's k. The plan's measures
add their own."""


@dataclass(frozen=True, slots=True)
class System:
    """A decision system: the problem, the facts it learns from, and every phase after them.

    `spine` is the stream of impressions that labels are attributed to, or the calendar of a forecast. `features` is
    what the ranker sees. `data` names the source that `sixfold run` uses when no other is given. Raises
    DefinitionError with every contradiction found.
    """

    name: str
    problem: Problem
    spine: Events | Calendar
    labels: tuple[Label, ...]
    features: FeatureSet
    plan: Plan
    pipeline: Pipeline
    data: str
    contracts: tuple[Contract, ...] = ()

    def __post_init__(self) -> None:
        if problems := list(self.problems()):
            raise DefinitionError(problems)

    def problems(self) -> Iterator[str]:
        """Every contradiction in the definition, in words that say what to do."""
        if not self.name.isidentifier():
            yield f"the system's name {self.name!r} must be a plain identifier such as 'video'"
        yield from self._shape_problems()
        yield from self._stream_problems()
        yield from self._label_problems()
        yield from self._feature_problems()
        yield from self._limit_problems()
        yield from self._model_problems()

    def _shape_problems(self) -> Iterator[str]:
        task, pipeline = self.problem.task, self.pipeline
        if isinstance(task, Rank) and not pipeline.sources:
            yield "a system that ranks needs at least one source of candidates in its pipeline"
        if isinstance(task, Rank) and self.problem.objective is None:
            yield "a system that ranks needs an objective: say what each outcome is worth"
        if isinstance(task, Choose) != (pipeline.act is not None):
            yield "`act` in the pipeline and Choose as the task go together: give both or neither"
        if isinstance(task, Choose) and pipeline.act is not None and pipeline.act.default not in task.actions:
            yield f"the pipeline would do {pipeline.act.default!r}, but the actions are {', '.join(task.actions)}"
        if pipeline.matchers and task.per.key is not str:
            yield f"models of text match the text of the subject, but the keys of {task.per.name!r} are numbers"
        if isinstance(task, Forecast) and pipeline.sources:
            yield "a forecast has no sources: its candidates are the steps ahead"
        yield from self._forecast_problems()

    def _forecast_problems(self) -> Iterator[str]:
        task, spine, select = self.problem.task, self.spine, self.pipeline.select
        if not isinstance(task, Forecast) or not isinstance(spine, Calendar):
            if isinstance(task, Forecast) or isinstance(spine, Calendar):
                yield "Forecast as the task and a Calendar as the spine go together: give both or neither"
            return
        if (task.per, task.steps, duration(task.every)) != (spine.per, spine.steps, spine.period):
            has = f"{spine.steps} steps of {spine.every} per {spine.per.name}"
            yield f"the task is to {task}, but the calendar has {has}"
        if not isinstance(select, Horizon) or select.calendar is not spine:
            yield "a forecast answers with every step of its calendar: select=Horizon(calendar)"

    def _stream_problems(self) -> Iterator[str]:
        task = self.problem.task
        for entity in task.known:
            if entity not in self.spine.keys:
                yield f"the spine {self.spine.name!r} does not name the {entity.name!r} that the task is about"
        defined: dict[str, Events] = {}
        for stream in self._all_streams():
            if defined.setdefault(stream.name, stream).spec() != stream.spec():
                yield f"two different streams are called {stream.name!r}: define it once and use that object"
            if stream.name in RESERVED_STREAMS:
                yield f"stream name {stream.name!r} is taken by the platform: choose another"

    def _label_problems(self) -> Iterator[str]:
        names = [label.name for label in self.labels]
        yield from (f"two labels are called {name!r}" for name in sorted(set(names)) if names.count(name) > 1)
        for label in self.labels:
            if label.of is not self.spine:
                yield f"label {label.name!r} is an outcome of {label.of.name!r}, but the spine is {self.spine.name!r}"
        for outcome in self._valued:
            if outcome not in self.labels:
                yield f"the objective values {outcome.name!r}, which is not among the system's labels: add the label"
        success = self.plan.satisfied
        if success is not None and success not in self.labels:
            yield f"the plan counts {success.name!r} as success, which is not among the labels: add it"
        if success is None and self.pipeline.sources:
            yield "the plan does not say which label makes an item worth having found: give `satisfied`"
        yield from self.plan.split.problems(self.labels)

    def _feature_problems(self) -> Iterator[str]:
        task = self.problem.task
        known = task.known
        named: dict[str, Feature] = {}
        for feature in (*self.features, *self.pipeline.features, *([] if self.plan.only is None else [self.plan.only])):
            if named.setdefault(feature.name, feature).declared() != feature.declared():
                yield f"two different features are called {feature.name!r}: give one another name with .named()"
            yield from answer_problems(feature)
            for entity in needs(feature):
                if entity not in known:
                    others = f"the candidates a {task.item.name!r}" if task.item else "nothing else"
                    has = " and a ".join(repr(e.name) for e in (task.per, *task.about))
                    yield (
                        f"feature {feature.name!r} is keyed by {entity.name!r}, which a request cannot know: it has a "
                        f"{has} and {others}"
                    )

    def _limit_problems(self) -> Iterator[str]:
        measured = (*MEASURED, *(name for measure in self.plan.measures for name in measure.metrics))
        for limit in self.problem.limits:
            if limit.metric not in measured:
                yield f"limit {limit.metric!r}: nobody measures that; measured are {', '.join(measured)}"

    def _model_problems(self) -> Iterator[str]:
        kinds = (self.retrievers, self.pipeline.matchers, self.pipeline.readers, {self.ranker_name: self.ranker})
        models = [named for kind in kinds for named in kind.items()]
        names = [name for name, _ in models]
        yield from (
            f"two models are called {name!r}: name them apart" for name in sorted(set(names)) if names.count(name) > 1
        )
        heads = [getattr(head, "name", head) for head in getattr(self.ranker, "heads", ())]
        labels = [label.name for label in self.labels]
        yield from (
            f"the ranker predicts {head!r}, which is not among the labels" for head in heads if head not in labels
        )
        for rival in self.plan.rivals:
            if lost := [feature.name for feature in rival.features if feature.name not in self.features]:
                yield f"the rival {rival.name!r} reads {lost}, which are not among the system's features: add them"
            if rival.name in {"static", *(name for name in names), *(c.name for c in self.plan.beat)}:
                yield f"the rival {rival.name!r} has the name of another model: give it one of its own"
        for outcome in self._valued:
            if heads and outcome.name not in heads:
                yield f"the objective values {outcome.name!r}, which the ranker does not predict: add it to its heads"

    @property
    def _valued(self) -> tuple[Any, ...]:
        """The outcomes that the objective values."""
        return tuple(self.problem.objective.worth) if self.problem.objective else ()

    def _all_streams(self) -> Iterator[Events]:
        for label in self.labels:
            yield from (stream for stream in (self.spine, label.of, label.outcome) if isinstance(stream, Events))
        if isinstance(self.spine, Calendar):
            yield self.spine.events
        yield from self.features.streams
        yield from FeatureSet(self.pipeline.features).streams
        if isinstance(truth := getattr(self.pipeline.render, "truth", None), Field):
            yield truth.events
        yield from (field.events for model in self.pipeline.matchers.values() for field in model.fields)
        if self.plan.only is not None:
            yield from FeatureSet(self.plan.only).streams
        yield from (contract.stream for contract in self.contracts)

    @property
    def streams(self) -> tuple[Events, ...]:
        """Every stream the system reads, each once."""
        return tuple({stream.name: stream for stream in self._all_streams()}.values())

    @property
    def online_features(self) -> FeatureSet:
        """All that serving reads: the ranker's features and those of the other stages."""
        found = {feature.name: feature for feature in (*self.features, *self.pipeline.features)}
        return FeatureSet(*found.values())

    @property
    def retrievers(self) -> Mapping[str, Retriever]:
        """The configs of the retrievers that the pipeline's sources use, by name."""
        return self.pipeline.retrievers

    @property
    def ranker(self) -> Ranker:
        """The config of the ranker."""
        ranker: Ranker = self.pipeline.ranker
        return ranker

    @property
    def ranker_name(self) -> str:
        """The name of the ranker."""
        return self.ranker.name

    def spec(self) -> Any:
        """The whole definition as plain values."""
        return describe({field.name: getattr(self, field.name) for field in fields(self)})

    @property
    def fingerprint(self) -> str:
        """Names the design: the version of the system."""
        return fingerprint(self.spec())


def describe(value: Any) -> Any:
    """A definition as plain JSON values: equal descriptions mean equal definitions.

    >>> from sixfold.frame import Entity
    >>> describe(Entity("user"))
    {'kind': 'Entity', 'name': 'user', 'key': 'int'}
    """
    if isinstance(value, Feature) and value.absence is not None:
        return value.declared()
    if isinstance(value, Expr | Events | Calendar | Label | FeatureSet):
        return value.spec()
    if is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: describe(getattr(value, field.name)) for field in fields(value)}
        return {"kind": type(value).__name__, **inner}
    if isinstance(value, Mapping):
        return [[describe(key), describe(item)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, frozenset | set):
        return sorted(describe(item) for item in value)
    if isinstance(value, type):
        return value.__name__
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise DefinitionError([f"{value!r} cannot be part of a definition: use frozen dataclasses and plain values"])


def system_names() -> list[str]:
    """The systems that come with Sixfold."""
    return sorted(path.stem for path in (Path(__file__).parent / "systems").glob("*.py") if path.stem != "__init__")


class _Uncached(SourceFileLoader):
    """Compiles the source as it is now: Python's cache takes two files of one second and one size for the same."""

    def get_code(self, fullname: str) -> CodeType:
        """The code of the file."""
        return self.source_to_code(self.get_data(self.path), self.path)


def load_system(name: str) -> System:
    """The system of that name, or in the file of that path: the value called `system` in it.

    A name that does not come with Sixfold is that of a file of the current folder.
    """
    if name not in system_names() and name.isidentifier() and Path(f"{name}.py").is_file():
        name = f"{name}.py"
    if name.endswith(".py"):
        path = Path(name)
        loader = _Uncached(path.stem, name)
        spec = importlib.util.spec_from_file_location(path.stem, path, loader=loader) if path.is_file() else None
        if spec is None or spec.loader is None:
            raise InputError(
                f"there is no system file {name}", hint="give the path of a Python file that defines `system`"
            )
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except SixfoldError:
            raise
        except Exception as error:
            raise DefinitionError([f"{name} cannot be imported: {type(error).__name__}: {error}"]) from error
    elif name in system_names():
        module = importlib.import_module(f"sixfold.systems.{name}")
    else:
        raise InputError(
            f"there is no system {name!r}", hint=f"choose one of: {', '.join(system_names())}, or a file.py"
        )
    system = getattr(module, "system", None)
    if not isinstance(system, System):
        raise DefinitionError([f"{name} defines no value `system = System(...)`"])
    return system

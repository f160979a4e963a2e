"""The command line: each command is one step over a home; `run` is the steps in order."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sixfold import __version__
from sixfold._core.errors import InputError, ReleaseError, ServiceError, SixfoldError
from sixfold._core.times import instant
from sixfold.models.contract import Progress as Tell
from sixfold.run.home import Home, current_home, open_home, write_json
from sixfold.system import System, load_system, system_names

__all__ = ["app", "main"]

app = typer.Typer(
    name="sixfold",
    help="Runs a decision system from a declared goal to a monitored, replayable service, out of one event log.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(width=None if sys.stdout.isatty() else 120)
err = Console(stderr=True)

HomeOption = Annotated[Path, typer.Option("--home", help="Folder where all state lies.", envvar="SIXFOLD_HOME")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of everything random.", min=0)]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Also write the result as JSON to this file.")]
SystemArgument = Annotated[str, typer.Argument(help="A system's name, or the path of a system file.")]
SystemOption = Annotated[str | None, typer.Option("--system", help="System; by default the one used last.")]
DataOption = Annotated[str | None, typer.Option("--data", help="A data set's name or folder; by default the system's.")]
DataHome = Annotated[Path | None, typer.Option("--data-home", help="Folder where data sets lie (or SIXFOLD_DATA).")]
HostOption = Annotated[str, typer.Option("--host", help="Address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", help="Port to listen on; 0 takes a free one.", min=0, max=65535)]
LastOption = Annotated[int, typer.Option("--last", help="How many of the newest decisions.", min=1)]
FromOption = Annotated[str | None, typer.Option("--from", help="Only what happened from then on, such as 2026-01-31.")]
ToOption = Annotated[str | None, typer.Option("--to", help="Only what happened before then.")]
EngineOption = Annotated[str, typer.Option("--engine", help="What computes features: numpy or duckdb.")]
DEFAULT_HOME = Path(".sixfold")
HOST, PORT = "127.0.0.1", 8600
LIVE_REQUESTS = 400


def save(value: Any, json_file: Path | None) -> None:
    """Write a result for machines where that was asked for."""
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        write_json(json_file, value)


def finish(result: Any, json_file: Path | None, *, value: Any = None) -> None:
    """Show a result, and write it (or `value` in its stead) for machines where asked."""
    from sixfold.run.show import render

    out.print(render(result))
    save(result if value is None else value, json_file)


def reopen(home: Path, system: str | None, data: str | None) -> tuple[Home, System]:
    """The home used last, or the one that the options name, and its system."""
    definition = load_system(system) if system else None
    place = current_home(home, definition.name if definition else None, Path(data).name if data else None)
    if definition is None:
        definition = load_system(place.definition)
    return place, definition


def time_range(since: str | None, until: str | None) -> tuple[int, int]:
    """From the first instant to just before the last, in microseconds; all time where neither is given."""
    first, last = instant(since) if since else -(2**63), instant(until) if until else 2**63 - 1
    if first >= last:
        raise InputError(f"nothing can happen from {since} on and before {until}", hint="give --from before --to")
    return first, last


@contextmanager
def progress_bar() -> Iterator[Tell]:
    """A bar on the terminal for one step; it leaves nothing behind."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def tell(what: str, share: float) -> None:
            bar.update(task, description=what, completed=share)

        yield tell


def show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        out.print(f"sixfold {__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Runs a decision system from a declared goal to a monitored, replayable service, out of one event log."""


@app.command()
def systems(json: JsonOption = None) -> None:
    """List the systems that come with Sixfold."""
    found = {name: load_system(name).problem.goal for name in system_names()}
    for name, goal in found.items():
        out.print(f"[bold]{name}[/]  {goal}")
    save(found, json)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What to call your system.")],
    like: Annotated[str, typer.Option("--like", help="The system to start from.")] = "video",
    folder: Annotated[Path, typer.Option("--folder", help="Where to write it.")] = Path(),
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """Write a commented system file and a small data set of its events, which `sixfold run NAME` runs at once."""
    from sixfold.run.starter import start

    finish(start(name, like, folder, seed=seed), json)


@app.command()
def check(system: SystemArgument, json: JsonOption = None) -> None:
    """Print a system's contract, or every contradiction in it at once."""
    found = load_system(system)
    finish(found, json, value={"name": found.name, "version": found.fingerprint, "definition": found.spec()})


@app.command()
def run(
    system: SystemArgument,
    data: DataOption = None,
    data_home: DataHome = None,
    keep_serving: Annotated[bool, typer.Option("--serve", help="Keep the service up at the end.")] = False,
    port: PortOption = PORT,
    home: HomeOption = DEFAULT_HOME,
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """All the steps in order: ingest, train, evaluate, release, serve, live requests, report."""
    from sixfold.run import evaluate as evaluation
    from sixfold.run import ingest as ingestion
    from sixfold.run import live as traffic
    from sixfold.run import release as releases
    from sixfold.run import train as training
    from sixfold.run.prepare import prepare
    from sixfold.run.show import in_short
    from sixfold.run.visitors import visitors_of

    definition = load_system(system)
    out.print(f"[bold]{definition.name}[/]: {definition.problem.goal}", highlight=False)
    source = ingestion.open_source(data or definition.data, data_home=data_home, seed=seed)
    place = open_home(home, definition.name, source.name)
    place.remember(definition=system)
    with progress_bar() as tell:
        ingested = ingestion.ingest(place, definition, source, progress=tell)
    step("data", in_short(ingested))
    with progress_bar() as tell:
        prepared = prepare(place, definition, progress=tell)
        trained = training.train(place, definition, seed=seed, prepared=prepared, progress=tell)
    step("models", in_short(trained))
    with progress_bar() as tell:
        judged = evaluation.evaluate(place, definition, seed=seed, prepared=prepared, progress=tell)
    step("evaluate", in_short(judged))
    try:
        released = releases.release(place, definition)
    except ReleaseError:
        publish(place, definition, prepared, judged)
        raise
    step("release", in_short(released))
    with progress_bar() as tell, traffic.running_service(place, home) as url:
        visitors = visitors_of(place, definition, source, LIVE_REQUESTS, seed=seed)
        live = traffic.drive(url, visitors, progress=tell)
    live = traffic.with_stages(place, live)
    step("serve", in_short(live))
    if live.failed:
        raise ServiceError(f"{live.failed} live requests failed", hint=f"read {place.folder / 'service.log'}")
    publish(place, definition, prepared, judged, live=live, json_file=json)
    if keep_serving:
        run_service(place, definition, HOST, port)


def step(name: str, what: str) -> None:
    """One step of `run`, done."""
    out.print(f"[dim]{name:>9}[/]  {what}", highlight=False)


def publish(
    place: Home, definition: System, prepared: Any, judged: Any, *, live: Any = None, json_file: Path | None = None
) -> None:
    """Write the report of a home, as a page and for machines, and say where it is and what to try."""
    from sixfold.evaluate.console_report import render_console
    from sixfold.evaluate.html_report import render_html
    from sixfold.evaluate.report import to_json
    from sixfold.run.report import make_report

    report = make_report(place, definition, prepared, judged, live)
    place.report.write_text(render_html(report), encoding="utf-8")
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(to_json(report), encoding="utf-8")
    out.print(render_console(report))
    out.print(f"the same with pictures: {place.report}", soft_wrap=True, highlight=False)


@app.command()
def ingest(
    system: SystemArgument,
    data: DataOption = None,
    data_home: DataHome = None,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Try the rows in quarantine again.")] = False,
    home: HomeOption = DEFAULT_HOME,
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """Bring a source's events into the log; what breaks the contract goes to quarantine with the reason."""
    from sixfold.run import ingest as ingestion

    definition = load_system(system)
    if quarantined:
        finish(ingestion.reingest(current_home(home, definition.name, data), definition), json)
        return
    source = ingestion.open_source(data or definition.data, data_home=data_home, seed=seed)
    place = open_home(home, definition.name, source.name)
    place.remember(definition=system)
    with progress_bar() as tell:
        result = ingestion.ingest(place, definition, source, progress=tell)
    finish(result, json)


@app.command()
def features(
    system: SystemArgument,
    given: Annotated[
        list[str] | None, typer.Argument(help="Keys and request fields (user=7 video=3), or decision=ID.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show each value and what it came from.")] = False,
    only: Annotated[str, typer.Option("--only", help="Only features with this in their name.")] = "",
    at: Annotated[str | None, typer.Option("--at", help="As of this time; by default the end of the log.")] = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """List a system's features; with --explain user=7 video=3 their values, and the events and tiles behind them."""
    from sixfold.run import features as featuring

    definition = load_system(system)
    if not explain:
        if given or at:
            raise InputError("keys and a time are for --explain", hint=f"sixfold features {system} --explain user=7")
        finish(featuring.list_features(definition, only=only), json)
        return
    place = current_home(home, definition.name, Path(data).name if data else None)
    moment = dict(pair.partition("=")[::2] for pair in given or [])
    when = instant(at) if at else None
    finish(featuring.explain_features(place, definition, moment, at=when, only=only), json)


@app.command()
def lineage(
    system: SystemArgument,
    name: Annotated[
        str | None, typer.Argument(help="A stream, field, label, feature, model, stage or release.")
    ] = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Another system, its file, or a release: what changed since.")
    ] = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """What is made of what; of one thing by its name; or, with --against, what changed and what that invalidates."""
    from sixfold.run import lineage as lines

    definition = load_system(system)
    try:
        place = current_home(home, definition.name, Path(data).name if data else None)
    except InputError:
        place = None  # a system has a lineage before it has a home; only its releases are then not known
    if against is None:
        finish(lines.trace(definition, name, home=place), json)
    else:
        finish(lines.compare_lineage(definition, against, home=place), json)


@app.command()
def dataset(
    folder: Annotated[Path, typer.Argument(help="Where to write: a new folder, or one that holds this very set.")],
    since: FromOption = None,
    until: ToOption = None,
    engine: EngineOption = "numpy",
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """Write the training set: mature impressions, labelled, features as of each, as Parquet; twice is once."""
    from sixfold.run import features as featuring

    place, definition = reopen(home, system, data)
    with progress_bar() as tell:
        within = time_range(since, until)
        result = featuring.write_training_set(place, definition, folder, within=within, engine=engine, progress=tell)
    finish(result, json)


@app.command()
def train(
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """Fit every model of the system, and the baselines it must beat, on the time that the plan says."""
    from sixfold.run import train as training

    place, definition = reopen(home, system, data)
    with progress_bar() as tell:
        result = training.train(place, definition, seed=seed, progress=tell)
    finish(result, json)


@app.command()
def evaluate(
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """Judge the candidate on the test range, beside its baselines, and write the report."""
    from sixfold.run import evaluate as evaluation
    from sixfold.run.prepare import prepare

    place, definition = reopen(home, system, data)
    with progress_bar() as tell:
        prepared = prepare(place, definition, progress=tell)
        judged = evaluation.evaluate(place, definition, seed=seed, prepared=prepared, progress=tell)
    publish(place, definition, prepared, judged, json_file=json)


@app.command()
def release(
    system: SystemOption = None,
    data: DataOption = None,
    promote: Annotated[str | None, typer.Option("--promote", help="Serve this release instead of a new one.")] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the release that served before.")] = False,
    history: Annotated[bool, typer.Option("--history", help="Only list who served when, and why.")] = False,
    why: Annotated[str, typer.Option("--why", help="The reason, kept in the log.")] = "",
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """Bundle the candidate that passed its gates and make it serve; or promote, roll back, list."""
    from sixfold.run import release as releases

    if sum((promote is not None, rollback, history)) > 1:
        raise InputError("--promote, --rollback and --history exclude each other", hint="give one of them")
    place, definition = reopen(home, system, data)
    if history:
        moves = releases.release_history(place)
        for move in moves:
            out.print(f"{move['offset']:>10}  {move['action']:<8}  {move['release']}  {move['why']}", highlight=False)
        save(moves, json)
    elif rollback:
        finish(releases.roll_back(place, why or "asked for on the command line"), json)
    elif promote:
        finish(releases.serve_release(place, promote, why or "asked for on the command line"), json)
    else:
        finish(releases.release(place, definition, why=why), json)


@app.command()
def serve(
    system: SystemOption = None,
    data: DataOption = None,
    host: HostOption = HOST,
    port: PortOption = PORT,
    home: HomeOption = DEFAULT_HOME,
    live: Annotated[bool, typer.Option("--live", help="Decide by the wall clock, not on from the log's end.")] = False,
    json: JsonOption = None,
) -> None:
    """Serve decisions and take events until stopped."""
    place, definition = reopen(home, system, data)
    run_service(place, definition, host, port, live=live, json_file=json)


def run_service(
    place: Home, definition: System, host: str, port: int, *, live: bool = False, json_file: Path | None = None
) -> None:
    """Serve a home until Ctrl-C, and say where."""
    from sixfold._core.times import system_clock
    from sixfold.run.serve import open_deployment, serve_stage

    def ready(facts: dict[str, Any]) -> None:
        url = facts["url"]
        out.print(f"{definition.name} is served at {url} (docs at {url}/docs); Ctrl-C stops it", highlight=False)
        save(facts, json_file)

    clock = system_clock if live else None
    with progress_bar() as tell:
        stage = open_deployment(place, definition, clock=clock, progress=tell)
    with stage:
        serve_stage(place, stage, host=host, port=port, ready=ready)


@app.command()
def decide(
    user: Annotated[str, typer.Option("--user", help="Whom to decide for.")],
    n: Annotated[int | None, typer.Option("--n", help="How many items.", min=1, max=200)] = None,
    context: Annotated[list[str] | None, typer.Option("--context", help="A request field, such as tab=1.")] = None,
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """Decide once, without a service; the decision is logged like any other."""
    from sixfold.run import inspect

    place, definition = reopen(home, system, data)
    answer = inspect.decide(place, definition, user, n=n, context=inspect.parse_context(definition, context or []))
    finish(inspect.Answered(answer), json, value=answer)


@app.command()
def replay(
    decision: Annotated[str, typer.Argument(help="The id of a decision.")],
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """Make a logged decision again, as of then, and compare it byte for byte."""
    from sixfold.run import inspect

    result = inspect.replay_decision(*reopen(home, system, data), decision)
    finish(result, json)
    if not result.same and not result.rewritten:
        raise typer.Exit(1)


@app.command()
def audit(
    last: Annotated[
        int | None, typer.Option("--last", help="How many of the newest decisions: 1000, or all.", min=1)
    ] = None,
    since: FromOption = None,
    until: ToOption = None,
    engine: EngineOption = "numpy",
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """Recompute the features of served decisions from the log and report every difference; the bar is zero.

    The newest 1000 decisions, or with --from or --to all that were made then.
    """
    from sixfold.run.audit import audit_decisions

    place, definition = reopen(home, system, data)
    wanted = last or (None if since or until else 1000)
    within = time_range(since, until)
    with progress_bar() as tell:
        result = audit_decisions(place, definition, last=wanted, within=within, engine=engine, progress=tell)
    finish(result, json)
    if result.wrong:
        raise typer.Exit(1)


@app.command()
def monitor(
    last: LastOption = 1000,
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """How far served features and scores are from what the release was trained on (PSI, KS)."""
    from sixfold.run import inspect

    finish(inspect.monitor(*reopen(home, system, data), last=last), json)


@app.command()
def log(
    tail: Annotated[int, typer.Option("--tail", help="How many of the newest events to show.", min=0, max=1000)] = 10,
    stream: Annotated[str | None, typer.Option("--stream", help="Only this stream.")] = None,
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """What the log holds: counts, quarantine by reason, and the newest events."""
    from sixfold.run import inspect

    place, definition = reopen(home, system, data)
    finish(inspect.view_log(place, definition, tail=tail, stream=stream), json)


@app.command()
def export(
    stream: Annotated[str, typer.Argument(help="Which stream.")],
    file: Annotated[Path, typer.Argument(help="A new Parquet file.")],
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    json: JsonOption = None,
) -> None:
    """Write a stream to a file, with keyed hashes in the place of personal values: equal values join."""
    from sixfold.run.exports import export_stream

    finish(export_stream(*reopen(home, system, data), stream, file), json)


@app.command()
def forget(
    subject: Annotated[
        str | None, typer.Argument(help="Whom, such as user:123; left out: finish one cut short.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option("--verify", help="Only search for the one of this certificate.")
    ] = None,
    retrain: Annotated[bool, typer.Option(help="Train again where the serving release learned from them.")] = True,
    system: SystemOption = None,
    data: DataOption = None,
    home: HomeOption = DEFAULT_HOME,
    seed: SeedOption = 0,
    json: JsonOption = None,
) -> None:
    """Erase somebody from the log and everything made of it, train again, and write a certificate; or check one."""
    from sixfold._core.times import system_clock
    from sixfold.run import certificate as certificates
    from sixfold.run import forget as forgetting

    place, definition = reopen(home, system, data)
    if verify is not None:
        checked = certificates.verify(place, definition, verify, at=system_clock())
        finish(checked, json)
        raise typer.Exit(0 if checked.confirmed else 1)
    with progress_bar() as tell:
        made = forgetting.carry_out(
            place, definition, subject, clock=system_clock, seed=seed if retrain else None, progress=tell
        )
    finish(made, json, value=made.body)
    if not made.good:
        raise typer.Exit(1)


class Stopped(BaseException):
    """Ctrl-C; no KeyboardInterrupt, which the command-line library would end in words of its own."""


def stop(signum: int, frame: object) -> None:
    """What SIGINT does outside the service."""
    raise Stopped


def main() -> None:
    """Run the command line; errors that were foreseen are one sentence on standard error and exit code 1."""
    signal.signal(signal.SIGINT, stop)
    try:
        app()
    except SixfoldError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(1)
    except Stopped:
        err.print("stopped; run the same command again to go on from here")
        sys.exit(130)

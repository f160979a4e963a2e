"""The documentation is run: every Python block, and every line that starts with `$ sixfold`.

Python blocks of a page share one namespace, in order; those with prompts are doctests. Commands run in order over one
small home that was trained and released beforehand, where DECISION stands for the newest decision, RELEASE for the
release that serves and CERTIFICATE for the newest certificate. Commands are run by the slow tests only; each
`sixfold run` in a home of its own.
"""

import doctest
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sixfold._core.errors import DataError
from sixfold.cli import main
from sixfold.datasets import NAMES
from sixfold.datasets.files import find_folder
from sixfold.operate.releases import build_release, champion, open_release
from sixfold.run.evaluate import evaluate
from sixfold.run.home import Home, open_home
from sixfold.run.ingest import ingest
from sixfold.run.release import release, serve_release
from sixfold.run.train import prepare, train
from sixfold.system import System, load_system
from sixfold.worlds.shorts import Shorts, ShortsConfig

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = ("python", "console", "text")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

SMALL = '''
"""The video system with quick models and gates that these pass: commands are tried here, not models."""

from dataclasses import replace

from sixfold.frame import Limit
from sixfold.models import EASE, DeepRanker, Popularity
from sixfold.serve import Retrieve, Score
from sixfold.systems.video import system as video

limits = (Limit("ece", at_most=0.9), Limit("p99_ms", at_most=10_000.0))
history = video.pipeline.sources[0].history
others = tuple(source for source in video.pipeline.sources if not isinstance(source, Retrieve))
quick = DeepRanker(heads=video.labels, epochs=1, batch_rows=2048)
system = replace(
    video,
    problem=replace(video.problem, limits=limits),
    plan=replace(video.plan, beat=(Popularity("popularity", "1m"),)),
    pipeline=replace(
        video.pipeline,
        sources=(Retrieve(EASE(), 300, history=history), *others),
        score=Score(quick, video.problem.objective),
    ),
)
'''


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line it begins on, and its text."""

    language: str
    line: int
    text: str


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield Block(found[1].strip(), text[: found.start()].count("\n") + 2, found[2])


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page) if block.language == "console" for line in block.text.splitlines()]
    return [line.removeprefix("$ sixfold ").partition(" #")[0] for line in lines if line.startswith("$ sixfold ")]


def takes_minutes(command: str) -> bool:
    return command.startswith("run ")


WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in blocks(page))]
WITH_COMMANDS = [page for page in PAGES if not all(map(takes_minutes, commands(page)))]
LONG = sorted({command for page in PAGES for command in commands(page) if takes_minutes(command)})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_says_what_it_is(page: Path) -> None:
    strange = [
        f"line {block.line - 1}: {block.language!r}" for block in blocks(page) if block.language not in LANGUAGES
    ]
    assert not strange, f"{name_of(page)} has blocks that are not marked as one of {LANGUAGES}: {strange}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8"))
    lost = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not lost


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:src|tests|docs|benchmarks)/[\w./-]+)`", page.read_text("utf-8"))
    assert not [path for path in named if not (ROOT / path).exists()]


def test_the_readme_stays_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 150
    assert (ROOT / "docs" / "report.png").stat().st_size < 200_000


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in (block for block in blocks(page) if block.language == "python"):
        where = f"{name_of(page)}, line {block.line}"
        if block.text.startswith(">>>"):
            said: list[str] = []
            parsed = doctest.DocTestParser().get_doctest(block.text, namespace, where, str(page), block.line - 1)
            ran = doctest.DocTestRunner(optionflags=FLAGS)
            ran.run(parsed, out=said.append, clear_globs=False)
            namespace.update(parsed.globs)
            assert not ran.failures, "".join(said)
        else:
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), namespace)


def readme_system() -> str:
    (found,) = (block.text for block in blocks(README) if "system = System(" in block.text)
    return found


def test_the_system_of_the_readme_is_sound(tmp_path: Path) -> None:
    file = tmp_path / "feed.py"
    file.write_text(readme_system())
    system = load_system(str(file))
    assert len(readme_system().splitlines()) <= 45
    assert system.streams and system.features.names


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where commands are typed: the README's system as feed.py, and a home with a release that serves."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "feed.py").write_text(readme_system())
    (folder / "small.py").write_text(SMALL)
    system = load_system(str(folder / "small.py"))
    home = open_home(folder / ".sixfold", "video", "shorts")
    ingest(home, system, Shorts(ShortsConfig(users=200, videos=400, requests=1_500)))
    prepared = prepare(home, system)
    train(home, system, seed=0, prepared=prepared)
    evaluate(home, system, seed=0, prepared=prepared)
    release_twice(home, system)
    return folder


def release_twice(home: Home, system: System) -> None:
    """Make a release of the candidate and one that differs only in what it says about itself, so moves have a way."""
    first = open_release(home.releases, release(home, system).release)
    content = home.candidate / "content"
    second = build_release(home.releases, content, {**first.manifest["about"], "trained": "again"})
    serve_release(home, second.id, "a second one")


@pytest.fixture
def typed(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Typed":
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SIXFOLD_HOME", str(folder / ".sixfold"))
    monkeypatch.setenv("SIXFOLD_PRIVACY_KEY", "a key that only tests know")
    return Typed(Home(folder / ".sixfold" / "video@shorts", "video", "shorts"), monkeypatch, capsys)


@dataclass(frozen=True)
class Typed:
    """Runs command lines as `sixfold` would, in this process."""

    home: Home
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def __call__(self, command: str) -> None:
        self.home.remember(definition="small.py")
        arguments = shlex.split(self.filled(command))
        code, said = self.served(arguments) if arguments[0] == "serve" else self.called(arguments)
        assert code == 0, f"`sixfold {command}` ended with {code}: {said}"
        assert "Traceback" not in said

    def filled(self, command: str) -> str:
        with self.home.log() as log:
            decisions = log.read(0, log.end()[0], ["decision"]).get("decision")
            newest = decisions["id"][-1] if decisions is not None else "none"
            command = command.replace("DECISION", newest).replace("RELEASE", champion(log) or "none")
        certified = sorted(self.home.certificates.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return command.replace("CERTIFICATE", shlex.quote(str(certified[-1])) if certified else "none")

    def called(self, arguments: list[str]) -> tuple[int, str]:
        self.monkeypatch.setattr(sys, "argv", ["sixfold", *arguments])
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = self.capsys.readouterr()
        return code, captured.out + captured.err

    def served(self, arguments: list[str]) -> tuple[int, str]:
        """Start the service, wait until it says where it is, and stop it as Ctrl-C does."""
        facts = self.home.folder / "service.json"
        command = [sys.executable, "-m", "sixfold", *arguments, "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            for _ in range(600):
                if facts.exists() or process.poll() is not None:
                    break
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
        return process.returncode, said


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_commands_run(page: Path, typed: Typed) -> None:
    for command in commands(page):
        if not takes_minutes(command):
            typed(command)


@pytest.mark.slow
@pytest.mark.parametrize("command", LONG)
def test_runs_end_with_a_release(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = [argument for argument in shlex.split(command) if argument != "--serve"]
    data = arguments[arguments.index("--data") + 1] if "--data" in arguments else "shorts"
    if data in NAMES:
        try:
            monkeypatch.setenv("SIXFOLD_DATA", str(find_folder(data).parent))
        except DataError as error:
            pytest.skip(str(error))
    monkeypatch.chdir(tmp_path)
    Path("feed.py").write_text(readme_system())
    done = subprocess.run([sys.executable, "-m", "sixfold", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert list(tmp_path.glob(".sixfold/*/report.html"))

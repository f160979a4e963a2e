"""`sixfold forget` over a real home: what is left, what others' decisions say, and that a new release serves."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sixfold.data.privacy import KEY
from sixfold.operate.releases import champion
from sixfold.run.home import current_home
from sixfold.run.live import running_service

pytestmark = pytest.mark.slow
Sixfold = Callable[..., "subprocess.CompletedProcess[str]"]
QUICK = '''
"""The video system with quick models and gates that these pass whoever is erased."""

from dataclasses import replace

from sixfold.frame import Limit
from sixfold.models import EASE, DeepRanker, Popularity
from sixfold.serve import Retrieve, Score
from sixfold.systems.video import system as video

limits = (Limit("ece", at_most=0.9), Limit("p99_ms", at_most=10_000.0))
others = tuple(source for source in video.pipeline.sources if not isinstance(source, Retrieve))
retrieve = Retrieve(EASE(), 300, history=video.pipeline.sources[0].history)
score = Score(DeepRanker(heads=video.labels, epochs=1, batch_rows=2048), video.problem.objective)
system = replace(
    video,
    problem=replace(video.problem, limits=limits),
    plan=replace(video.plan, beat=(Popularity("popularity", "1m"),)),
    pipeline=replace(video.pipeline, sources=(retrieve, *others), score=score),
)
'''


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, sixfold: Sixfold) -> Path:
    """The home of a finished run of the quick system."""
    folder = tmp_path_factory.mktemp("quick")
    (folder / "quick.py").write_text(QUICK)
    done = sixfold("run", str(folder / "quick.py"), "--data", "shorts-tiny", home=folder / "home")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "home"


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may break."""
    return Path(shutil.copytree(finished, tmp_path / "home"))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "a key that only tests know")


def test_somebody_is_forgotten_and_a_new_release_serves(home: Path, sixfold: Sixfold, tmp_path: Path) -> None:
    place, out = current_home(home), tmp_path / "out.json"
    with place.log() as log:
        decisions = log.read(0, log.end()[0], ["decision"])["decision"]
        before = champion(log)
    mine = decisions["id"][decisions["user"] == decisions["user"][0]][0]
    other = decisions["id"][decisions["user"] != decisions["user"][0]][0]
    done = sixfold("dataset", str(tmp_path / "set"), home=home)
    assert done.returncode == 0, done.stderr
    with running_service(place, home):
        done = sixfold("forget", f"user:{decisions['user'][0]}", home=home)
        assert done.returncode == 1 and "stop the service first" in done.stderr
    subject = f"user:{decisions['user'][0]}"
    done = sixfold("forget", subject, "--no-retrain", "--json", str(out), home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(out.read_text())
    assert made["found"]["events"]["decision"] >= 1 and [one["what"] for one in made["exports"]] == ["removed"] * 2
    assert not (tmp_path / "set" / "rows.parquet").exists()
    assert [(one["release"], one["serves"]) for one in made["releases"]] == [(before, True)]
    (certificate,) = place.certificates.glob("*.json")
    assert sixfold("forget", "--verify", str(certificate), home=home).returncode == 0
    done = sixfold("replay", mine, home=home)
    assert done.returncode == 1 and "somebody who was erased" in done.stderr
    done = sixfold("replay", other, "--json", str(out), home=home)
    found = json.loads(out.read_text())
    assert done.returncode == 0 and (found["same"] or "rewritten by an erasure" in done.stdout)
    done = sixfold("audit", "--json", str(out), home=home)
    assert done.returncode == 0 and "rewritten by an erasure" in done.stdout
    done = sixfold("forget", home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    with place.log() as log:
        assert champion(log) not in (None, before)
    assert place.report.exists()
    assert sixfold("forget", "--verify", str(certificate), home=home).returncode == 0
    done = sixfold("forget", home=home)
    assert done.returncode == 1 and "no erasure was cut short" in done.stderr
    done = sixfold("decide", "--user", subject.partition(":")[2], home=home)
    assert done.returncode == 1 and "was erased" in done.stderr
    with running_service(place, home):
        pass


def test_an_item_leaves_the_catalogues_too(home: Path, sixfold: Sixfold, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    done = sixfold("forget", "video:5", "--json", str(out), home=home)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads(out.read_text())
    assert made["found"]["decisions that showed it"] > 0 and made["verification"]["found"] == []
    (old,) = [one["release"] for one in made["releases"]]
    assert not (current_home(home).releases / old).exists()
    assert (
        sixfold("forget", "--verify", str(next(current_home(home).certificates.iterdir())), home=home).returncode == 0
    )

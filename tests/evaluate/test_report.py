"""The report: complete, self-contained, escaped, the same bytes every time, and silent about what it does not have."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from sixfold.evaluate.bootstrap import Estimate
from sixfold.evaluate.calibration import calibration_curve
from sixfold.evaluate.console_report import render_console
from sixfold.evaluate.gates import judge
from sixfold.evaluate.html_report import render_html
from sixfold.evaluate.report import (
    Command,
    Comparison,
    Day,
    Entry,
    FeatureRow,
    Headline,
    Report,
    SplitRange,
    StageLatency,
    StreamCount,
    score_histogram,
    to_json,
)
from sixfold.evaluate.slices import Slice
from sixfold.frame import Limit

EVIL = "<script>alert('$x$ & y')</script>"
VOID = {"meta", "br"}


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.01, value + 0.01, 60)


@pytest.fixture(scope="module")
def report() -> Report:
    rng = np.random.default_rng(0)
    said = rng.random(500)
    happened = (rng.random(500) < said).astype(float)
    entries = (
        Entry("popular", {"recall@100": estimate(0.2), "ece": Estimate(np.nan, np.nan, np.nan, 0)}),
        Entry(EVIL, {"recall@100": estimate(0.3), "mean ratio": estimate(1.1)}, ours=True, note=EVIL),
    )
    return Report(
        system="video" + EVIL,
        goal=EVIL,
        created="2026-01-31T12:00:00Z",
        problem={"Objective": EVIL},
        headlines=(Headline("recall", "0.30", EVIL),),
        streams=(StreamCount("shown", 1200, 3, 1, "2026-01-01T00:00:00Z", "2026-01-14T00:00:00Z"),),
        quarantine=(("shown", EVIL, 3),),
        split=(SplitRange("train", "2026-01-01T00:00:00Z", "2026-01-12T00:00:00Z", 1000, 50),),
        days=(Day("01-01", 700, "train"), Day("01-02", 500, "test"), Day("01-03", 5)),
        features=(FeatureRow(EVIL, EVIL, 0.25),),
        comparisons=(Comparison("Retrieval", EVIL, entries, ("recall@100",)),),
        recall={"popular": ((10, 0.1), (100, 0.2)), EVIL: ((10, 0.1), (100, 0.3))},
        primary_method=EVIL,
        calibration={EVIL: calibration_curve(happened, said, users=np.arange(500))},
        scores={EVIL: score_histogram(said, happened), "seconds": score_histogram(said * 30)},
        slices=(Slice(EVIL, 10, 4, {"auc": estimate(0.6)}),),
        gates=judge({"ece": 0.02}, [Limit("ece", at_most=0.01)]),
        latency=(StageLatency(EVIL, 1.0, 2.0, 3.0),),
        next=(Command("sixfold audit", EVIL),),
        facts={"seed": "0"},
    )


class Page(HTMLParser):
    """Collects ids, references and unbalanced tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("href", "src", "xlink:href", "aria-labelledby"):
                self.references.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else(report: Report) -> None:
    text = render_html(report)
    page = Page(text)
    assert not page.open
    assert len(page.ids) == len(set(page.ids))
    assert {ref.removeprefix("#") for ref in page.references} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= set(page.ids)
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert not re.findall(r"(?:@import|url\((?!#))", text)
    assert text.count("<svg") == 6


def test_every_value_is_escaped_and_every_picture_has_words(report: Report) -> None:
    text = render_html(report)
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 15
    labels = re.findall(r'role="img" aria-label="([^"]+)"', text)
    assert len(labels) == 6
    assert any("popular recall@100 0.2000" in label for label in labels)


def test_the_page_says_why_a_release_is_refused(report: Report) -> None:
    text = render_html(report)
    assert report.verdict == "refused: 1 of 1 gates failed"
    assert text.count("ece is 0.02, above the limit of 0.01.") == 2


def test_the_page_is_the_same_every_time(report: Report) -> None:
    assert render_html(report) == render_html(report)


def test_pictures_take_their_colours_from_the_page(report: Report) -> None:
    svgs = re.findall(r"<svg.*?</svg>", render_html(report), flags=re.DOTALL)
    assert not [c for svg in svgs for c in re.findall(r"#[0-9a-f]{6}\b", svg) if c not in ("#000000", "#ffffff")]


def test_an_empty_report_renders_without_empty_sections() -> None:
    empty = Report("video", "goal", "2026-01-31T12:00:00Z")
    page = Page(render_html(empty))
    assert not page.open
    assert page.ids == []
    assert not empty.passed
    assert empty.verdict == "not gated"
    assert json.loads(to_json(empty))["verdict"] == "not gated"


def test_json_holds_every_figure(report: Report) -> None:
    values = json.loads(to_json(report))
    assert values["passed"] is False
    popular, ours = values["comparisons"][0]["entries"]
    assert popular["metrics"]["recall@100"] == {"value": 0.2, "low": 0.19, "high": pytest.approx(0.21), "n_users": 60}
    assert popular["metrics"]["ece"]["value"] is None
    assert ours["ours"] is True
    assert sum(values["calibration"][EVIL]["n_rows"]) == 500


def test_the_console_shows_the_same_figures(report: Report) -> None:
    console = Console(width=140)
    with console.capture() as capture:
        console.print(render_console(report))
    text = capture.get()
    for piece in ("0.3000 ±0.0100", "1,200", "refused: 1 of 1 gates failed", "ece is 0.02, above", "sixfold audit"):
        assert piece in text


def test_text_that_looks_like_console_markup_is_shown_as_it_is() -> None:
    console = Console(width=100)
    with console.capture() as capture:
        console.print(render_console(Report("[red]x", "[/nope] goal", "2026-01-31T12:00:00Z")))
    assert "[/nope] goal" in capture.get()


def test_the_best_of_a_column_depends_on_the_metric() -> None:
    entries = tuple(
        Entry(name, {"auc": estimate(v), "ece": estimate(v), "mean ratio": estimate(v), "ne": estimate(np.nan)})
        for name, v in (("a", 0.7), ("b", 0.9), ("c", 1.4))
    )
    comparison = Comparison("t", "", entries, ())
    assert (comparison.best("auc"), comparison.best("ece"), comparison.best("mean ratio")) == (1.4, 0.7, 0.9)
    assert np.isnan(comparison.best("ne"))


def test_a_histogram_counts_every_score_up_to_its_end() -> None:
    scores = np.array([0.0, 0.5, 1.0, 1.0])
    found = score_histogram(scores, np.array([1, 0, 1, 0]), bins=2)
    assert found.edges == (0.0, 0.5, 1.0)
    assert found.rows == {"it happened": (1, 1), "it did not": (0, 2)}
    assert sum(score_histogram(np.zeros(3)).rows["all"]) == 3
    assert sum(score_histogram(np.empty(0)).rows["all"]) == 0

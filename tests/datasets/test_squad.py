"""The SQuAD development set as events."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.datasets import open_source
from sixfold.datasets.squad import VALIDATE, Squad

STREAMS = ("passage_meta", "asked", "answer")
ARTICLES = {"Oxygen": 3, "Normans": 3, "Force": 3, "Miscellaneous": 1}


def read(source: Squad) -> dict[str, Table]:
    chunks = list(source.chunks())
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [(title, i) for title, count in ARTICLES.items() for i in range(count)]
    paragraphs = [
        {
            "paragraph_id": key,
            "title": title,
            "context": f"{title} has part {i}. Its colour is {'red' if i else 'blue'}.",
        }
        for key, (title, i) in enumerate(names)
    ]
    of = {(row["title"], i): row["paragraph_id"] for row, (_, i) in zip(paragraphs, names, strict=True)}

    def question(title: str, i: int, text: str) -> dict[str, object]:
        return {"id": f"{title}{i}{len(text)}", "paragraph_id": of[title, i], "title": title, "question": text}

    withheld = [
        question("Oxygen", 1, "What is the colour of oxygen?"),
        question("Oxygen", 1, "What is the taste of oxygen?"),
        question("Miscellaneous", 0, "What is unknown?"),
    ]
    open_ = [
        question("Force", 0, "What colour is force?") | {"answers": ["blue", "blue", "is blue"]},
        question("Normans", 2, "Which colour had they?") | {"answers": ["red"]},
        question("Normans", 2, "Which smell had they?") | {"answers": []},
    ]
    published = [{"question": " What is the colour of oxygen?".strip(), "answers": ["red"]}]
    lists = pa.list_(pa.string())
    for name, rows in {
        "paragraphs": paragraphs,
        "questions_v2_dev16": open_,
        "questions_v2_test20_no_answers": withheld,
        "squad_v1_1_dev_questions_answers": published,
    }.items():
        table = pa.Table.from_pylist(rows)
        if "answers" in table.column_names:
            table = table.set_column(table.column_names.index("answers"), "answers", table["answers"].cast(lists))
        pa.parquet.write_table(table, tmp_path / f"{name}.parquet")
    return tmp_path


def test_articles_have_a_day_each_to_learn_from_tune_and_test(folder: Path) -> None:
    streams = read(Squad(folder, whole=False))
    answer = streams["answer"]
    day = (answer["at"] - answer["at"].min()) // DAY
    assert [*dict.fromkeys(zip(day.tolist(), answer["question"].tolist(), strict=True))] == [
        (0, "What is the colour of oxygen?"),
        (0, "What is the taste of oxygen?"),
        (1, "Which colour had they?"),
        (1, "Which smell had they?"),
        (2, "What colour is force?"),
    ]
    assert streams["passage_meta"]["at"].max() < streams["asked"]["at"].min()


def test_answers_that_were_withheld_are_found_and_the_others_are_none(folder: Path) -> None:
    rows = [
        (row["question"], row["accepted"], row["found"]) for row in read(Squad(folder, whole=False))["answer"].rows()
    ]
    assert rows[:2] == [("What is the colour of oxygen?", "red", True), ("What is the taste of oxygen?", None, False)]
    assert rows[-2:] == [("What colour is force?", "blue", True), ("What colour is force?", "is blue", True)]


def test_the_own_paragraph_is_always_in_the_pool(folder: Path) -> None:
    streams = read(Squad(folder, whole=False, pool=2))
    asked = {(row["question"], row["passage"]) for row in streams["asked"].rows()}
    assert all((row["question"], row["passage"]) in asked for row in streams["answer"].rows())
    assert len(streams["asked"]) == 2 * 5


def test_a_folder_is_known_by_its_files(folder: Path) -> None:
    assert open_source(str(folder)).name == "squad-dev"
    with pytest.raises(DataError, match=r"paragraphs.parquet has 10 rows; expected 1,216"):
        next(Squad(folder).chunks())


def test_the_real_questions(data_home: Path) -> None:
    if not (data_home / "squad-dev").is_dir():
        pytest.skip("no squad-dev among the real data")
    source = Squad(data_home / "squad-dev")
    assert source.notes == ()
    streams = read(source)
    assert {name: len(table) for name, table in streams.items()} == {
        "passage_meta": 1_216,
        "asked": 71_166,
        "answer": 16_210,
    }
    answer = streams["answer"]
    first = (answer["at"] - answer["at"].min()) // DAY
    validate = set(answer["passage"][(first >= 19) & (first < 23)].tolist())
    titles = dict(
        zip(streams["passage_meta"]["passage"].tolist(), streams["passage_meta"]["title"].tolist(), strict=True)
    )
    assert {titles[key] for key in validate} == {title.replace("_", " ") for title in VALIDATE}
    assert first.max() == 34
    assert 0.45 < np.mean([row["found"] for row in answer.take(first >= 23).rows()]) < 0.8

"""SciFact as events, on a sample of its layout and on the real files where they are."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from sixfold._core.errors import DataError
from sixfold._core.table import Table
from sixfold._core.times import DAY
from sixfold.datasets import open_source
from sixfold.datasets.scifact import SciFact

STREAMS = ("doc_meta", "shown", "judged")


def read(source: SciFact) -> dict[str, Table]:
    chunks = list(source.chunks())
    return {name: Table.concat([chunk[name] for chunk in chunks if name in chunk]) for name in STREAMS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    corpus = {
        "doc_id": [11, 12, 13, 14],
        "title": ["Aspirin and pain", "Mice sleep", "Vitamin C", "Zebrafish fins"],
        "abstract": [["It helps. ", "Twice."], ["They do."], ["No effect on colds."], ["They grow back."]],
        "structured": [True, False, False, True],
    }
    pa.parquet.write_table(pa.table(corpus), tmp_path / "corpus.parquet")
    (tmp_path / "claims_train.csv").write_text(
        "id,claim,evidence_doc_id,evidence_label,evidence_sentences,cited_doc_ids\n"
        '7,"Aspirin, it helps.",11,SUPPORT,[0],[11]\n'
        '7,"Aspirin, it helps.",11,SUPPORT,[1],[11]\n'
        '8,Colds end with vitamin C,,,,"[13, 12]"\n'
        "9,Mice never sleep,12,CONTRADICT,[0],[11]\n"
    )
    (tmp_path / "queries.beir.test.tsv").write_text("1\tFins grow back in fish\n2\tMice never sleep\n")
    (tmp_path / "qrels.beir.test.tsv").write_text("query-id\tcorpus-id\tscore\n1\t14\t1\n2\t12\t1\n2\t11\t0\n")
    return tmp_path


def test_claims_are_searched_for_and_judged(folder: Path) -> None:
    found = read(SciFact(folder, whole=False, shown=2))
    assert found["doc_meta"]["text"][0] == "It helps. Twice." and found["doc_meta"]["kind"][1] == "plain"
    judged = {(row["query"], row["doc"]) for row in found["judged"].rows()}
    assert judged == {
        ("Aspirin, it helps.", 11),
        ("Colds end with vitamin C", 12),
        ("Colds end with vitamin C", 13),
        ("Fins grow back in fish", 14),
        ("Mice never sleep", 12),
    }
    shown = {(row["query"], row["doc"]) for row in found["shown"].rows()}
    assert judged <= shown and len(shown) == len(found["shown"])
    assert found["judged"]["relevant"].all()


def test_judgements_come_after_what_was_shown_and_before_the_next_day(folder: Path) -> None:
    found = read(SciFact(folder, whole=False, shown=2))
    asked = {row["query"]: row["at"] for row in found["shown"].rows()}
    for row in found["judged"].rows():
        assert 0 < row["at"] - asked[row["query"]] < 60_000_000 < row["arrived"] - row["at"]
        assert row["at"] // DAY == row["arrived"] // DAY
    first = min(at for query, at in asked.items() if query in ("Fins grow back in fish", "Mice never sleep"))
    last = max(at for query, at in asked.items() if query not in ("Fins grow back in fish", "Mice never sleep"))
    assert first // DAY > last // DAY, "test claims are on days of their own"


def test_damaged_files_are_named(folder: Path) -> None:
    with pytest.raises(DataError, match=r"corpus\.parquet cannot be used: has 4 rows, expected 5,183"):
        list(SciFact(folder).chunks())
    (folder / "qrels.beir.test.tsv").write_text("query-id\tcorpus-id\tscore\n1 14 1\n")
    with pytest.raises(DataError, match="3 fields"):
        list(SciFact(folder, whole=False).chunks())
    (folder / "qrels.beir.test.tsv").unlink()
    with pytest.raises(DataError, match="get SciFact from"):
        list(SciFact(folder, whole=False).chunks())


def test_the_real_files_are_as_published() -> None:
    try:
        source = open_source("scifact")
    except DataError as error:
        pytest.skip(str(error))
    assert isinstance(source, SciFact) and source.notes == ()
    found = read(source)
    assert len(found["doc_meta"]) == 5_183 and len(np.unique(found["doc_meta"]["doc"])) == 5_183
    start = int(found["shown"]["at"].min())
    tested = (found["judged"]["at"] - start) // DAY >= 27
    assert len(set(found["judged"]["query"][tested].tolist())) == 300 and int(tested.sum()) == 339
    trained = set(found["judged"]["query"][~tested].tolist())
    assert len(trained) == 805 and not trained & set(found["judged"]["query"][tested].tolist())

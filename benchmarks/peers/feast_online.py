"""Runs in Feast's own environment: how long its online stores take for the reads that are asked of it.

Usage: feast_online.py FOLDER sqlite|redis[:PORT] . The folder holds a Parquet file per view and asks.json: `views`
(view -> its keys), `reads` (lists of rows, each with all keys). Prints one line of JSON: times of every read, and the
values of the first one.
"""

import json
import sys
import time
import warnings
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, String

warnings.filterwarnings("ignore")


def main(folder: Path, kind: str) -> None:
    name, _, port = kind.partition(":")
    where = {"connection_string": f"localhost:{port}"} if port else {"path": str(folder / "feast_online.db")}
    store = FeatureStore(
        config=RepoConfig(
            project="peer",
            registry=str(folder / f"{name}.online_registry.db"),
            provider="local",
            offline_store={"type": "duckdb"},
            online_store={"type": name, **where},
            entity_key_serialization_version=3,
        )
    )
    asks = json.loads((folder / "asks.json").read_text())
    features = []
    for view, keys in asks["views"].items():
        path = folder / f"{view}.parquet"
        table = pq.read_table(path)
        entities = [
            Entity(name=key, join_keys=[key], value_type=ValueType.STRING if key == "of_topic" else ValueType.INT64)
            for key in keys
        ]
        columns = [column for column in table.column_names if column not in (*keys, "event_timestamp")]
        kinds = {column: String if str(table.schema.field(column).type) == "string" else Float64 for column in columns}
        made = FeatureView(
            name=view,
            entities=entities,
            schema=[Field(name=column, dtype=kinds[column]) for column in columns],
            source=FileSource(path=str(path), timestamp_field="event_timestamp"),
        )
        store.apply([*entities, made])
        store.write_to_online_store(view, df=table.to_pandas())
        features += [f"{view}:{column}" for column in columns]
    rows = [pd.DataFrame(read).to_dict("records") for read in asks["reads"]]
    first = store.get_online_features(features=features, entity_rows=rows[0]).to_dict()
    times = []
    for read in rows:
        began = time.perf_counter()
        store.get_online_features(features=features, entity_rows=read).to_dict()
        times.append(time.perf_counter() - began)
    print(json.dumps({"times": times, "first": first}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

"""Runs in Feast's own environment: how long its offline store takes to join features that were precomputed.

Usage: feast_offline.py FOLDER duckdb|file. Prints one line of JSON and leaves joined.parquet in the folder.
"""

import json
import resource
import sys
import time
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64

warnings.filterwarnings("ignore")


_ADDRESS_SPACE = 14 * 2**30


def main(folder: Path, kind: str) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))  # rather fail than take the machine along
    store = FeatureStore(
        config=RepoConfig(
            project="peer",
            registry=str(folder / f"{kind}.registry.db"),
            provider="local",
            offline_store={"type": kind},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    names = []
    for key in ("user", "video"):
        path = folder / f"{key}.parquet"
        columns = [name for name in pq.read_schema(path).names if name not in (key, "event_timestamp")]
        entity = Entity(name=key, join_keys=[key], value_type=ValueType.INT64)
        view = FeatureView(
            name=f"{key}_windows",
            entities=[entity],
            schema=[Field(name=name, dtype=Float64) for name in columns],
            source=FileSource(path=str(path), timestamp_field="event_timestamp"),
            online=False,
        )
        store.apply([entity, view])
        names += [f"{key}_windows:{name}" for name in columns]
    spine = pq.read_table(folder / "spine.parquet").to_pandas()
    began, began_cpu = time.perf_counter(), time.process_time()
    joined = store.get_historical_features(entity_df=spine, features=names).to_df()
    took, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    pq.write_table(pa.Table.from_pandas(joined, preserve_index=False), folder / f"joined_{kind}.parquet")
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"seconds": took, "cpu_s": cpu, "rows": len(joined), "peak_mib": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])

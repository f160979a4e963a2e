"""Small generated files in the layout of public data sets, so that loaders can be tested without the data."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.table import Array

__all__ = ["write_kuairand", "write_movielens", "write_transactions"]

_LOG_START_MS = 1_650_816_000_000  # 2022-04-25 00:00 in China
_DAY_MS = 86_400_000
_FLAGS = ("is_follow", "is_comment", "is_forward", "is_profile_enter", "is_rand")
_ZEROS = ("profile_stay_time", "comment_stay_time")


def write_kuairand(
    folder: Path, *, users: int = 40, videos: int = 60, impressions: int = 600, original: bool = False, seed: int = 0
) -> None:
    """Write a sample of KuaiRand-Pure into an existing folder; `original` writes the publisher's csv layout.

    The last row of each log is an exact copy of its first; the first video has no topic and no duration.
    """
    rng = np.random.default_rng(seed)
    tables: dict[str, dict[str, Any]] = {
        "user_features_pure": _users(users, rng),
        "video_features_basic_pure": _videos(videos, rng),
    }
    if original:
        late = _log(users, videos, impressions, rng, start_ms=_LOG_START_MS - 3 * _DAY_MS, days=17)
        early = _log(users, videos, impressions, rng, start_ms=_LOG_START_MS - 13 * _DAY_MS, days=10)
        tables |= {"log_standard_4_22_to_5_08_pure": late, "log_standard_4_08_to_4_21_pure": early}
    else:
        tables["log_standard_4_25_to_5_08_pure"] = _log(
            users, videos, impressions, rng, start_ms=_LOG_START_MS, days=14
        )
        tables["user_history_4_08_to_4_24_last50"] = _tails(users, videos, rng)
    for name, columns in tables.items():
        _write(folder / f"{name}.{'csv' if original else 'parquet'}", columns)


def _log(users: int, videos: int, n: int, rng: np.random.Generator, *, start_ms: int, days: int) -> dict[str, Array]:
    time_ms = np.sort(rng.integers(start_ms, start_ms + days * _DAY_MS, n))
    duration = rng.integers(0, 90, n) * 1_000
    played = (duration * rng.exponential(0.5, n)).astype(np.int64)
    local = [datetime.fromtimestamp(t / 1_000, UTC) + timedelta(hours=8) for t in time_ms.tolist()]
    columns = {
        "user_id": rng.integers(0, users, n),
        "video_id": rng.integers(0, videos, n),
        "date": np.array([int(moment.strftime("%Y%m%d")) for moment in local]),
        "hourmin": np.array([moment.hour * 100 for moment in local]),
        "time_ms": time_ms,
        "is_click": (played > 3_000).astype(np.int64),
        "is_like": rng.binomial(1, 0.1, n),
        "is_hate": rng.binomial(1, 0.01, n),
        "long_view": (played > 18_000).astype(np.int64),
        "play_time_ms": played,
        "duration_ms": duration,
        "tab": rng.integers(0, 15, n),
        **{name: np.zeros(n, np.int64) for name in (*_FLAGS, *_ZEROS)},
    }
    return {name: np.append(values, values[0]) for name, values in columns.items()}


def _users(n: int, rng: np.random.Generator) -> dict[str, Any]:
    segments = {f"onehot_feat{i}": rng.integers(0, 5, n).astype(np.float64) for i in range(18)}
    segments["onehot_feat4"][0] = np.nan
    return {
        "user_id": np.arange(n),
        "user_active_degree": rng.choice(["full_active", "high_active"], n).tolist(),
        "follow_user_num_range": rng.choice(["0", "(0,10]", "500+"], n).tolist(),
        "fans_user_num_range": rng.choice(["0", "[1,10)"], n).tolist(),
        "friend_user_num_range": rng.choice(["0", "[1,5)"], n).tolist(),
        "register_days_range": rng.choice(["61-90", "730+"], n).tolist(),
        **segments,
    }


def _videos(n: int, rng: np.random.Generator) -> dict[str, Any]:
    duration = rng.integers(5_000, 90_000, n).astype(np.float64)
    duration[0] = np.nan
    topics: list[str | None] = rng.choice(["39", "3", "9,12"], n).tolist()
    topics[0] = None
    return {
        "video_id": np.arange(n),
        "author_id": rng.integers(0, 9_000_000, n),
        "video_type": ["NORMAL"] * n,
        "upload_dt": rng.choice(["2022-04-09", "2022-04-10", "2022-04-11"], n).tolist(),
        "upload_type": rng.choice(["LongImport", "Kmovie"], n).tolist(),
        "video_duration": duration,
        "server_width": np.full(n, 720.0),
        "server_height": np.full(n, 1280.0),
        "music_id": rng.integers(0, 10**10, n),
        "music_type": np.full(n, 9.0),
        "tag": topics,
    }


def _tails(users: int, videos: int, rng: np.random.Generator) -> dict[str, Any]:
    watched = [rng.integers(0, videos, rng.integers(1, 51)).tolist() for _ in range(users)]
    return {
        "user_id": np.arange(users),
        "history_len": np.array([len(items) + (40 if len(items) == 50 else 0) for items in watched]),
        "last_time_ms": rng.integers(_LOG_START_MS - 10 * _DAY_MS, _LOG_START_MS, users),
        "watch_seq": watched,
        "like_seq": [items[:1] for items in watched],
        "long_watch_seq": [items[::2] for items in watched],
    }


def write_movielens(folder: Path, *, users: int = 30, movies: int = 40, original: bool = False, seed: int = 0) -> None:
    """Write a sample of MovieLens 1M into an existing folder; half of the people have no times unless `original`."""
    rng = np.random.default_rng(seed)
    pairs = np.array([(u, m) for u in range(1, users + 1) for m in range(1, movies + 1)])
    pairs = pairs[np.sort(rng.choice(len(pairs), len(pairs) // 2, replace=False))]
    rating, seconds = rng.integers(1, 6, len(pairs)), 978_300_000 + rng.integers(0, 300, len(pairs))
    lines = [f"{m}::Movie, the {m}th é ({1950 + m})::Drama|Comedy" for m in range(1, movies + 1)]
    (folder / "movies.dat").write_text("\n".join(lines) + "\n", "latin-1")
    lines = [f"{u}::{'FM'[u % 2]}::25::{u % 20}::0{u:04d}" for u in range(1, users + 1)]
    (folder / "users.dat").write_text("\n".join(lines) + "\n", "latin-1")
    if original:
        rows = zip(pairs[:, 0].tolist(), pairs[:, 1].tolist(), rating.tolist(), seconds.tolist(), strict=True)
        (folder / "ratings.dat").write_text("".join(f"{'::'.join(map(str, row))}\n" for row in rows), "latin-1")
        return
    times = [int(s) if u <= users // 2 else None for u, s in zip(pairs[:, 0], seconds, strict=True)]
    columns = {"user_id": pairs[:, 0], "movie_id": pairs[:, 1], "rating": rating, "timestamp": times}
    _write(folder / "ratings.parquet", columns)


def write_transactions(folder: Path, *, rows: int = 3_000, days: int = 150, seed: int = 0) -> None:
    """Write a sample of the Fraud Detection Handbook's transactions into an existing folder, from 2018-04-01 on."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.integers(0, days * 86_400, rows))
    columns = {
        "TRANSACTION_ID": np.arange(rows),
        "TX_TIME_SECONDS": seconds,
        "CUSTOMER_ID": rng.integers(0, 20, rows),
        "TERMINAL_ID": rng.integers(0, 15, rows),
        "TX_AMOUNT": np.round(rng.exponential(50.0, rows), 2),
        "TX_FRAUD": (rng.random(rows) < 0.03).astype(np.int64),
    }
    _write(folder / "transactions.parquet", columns)


def _write(path: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    table = pa.table(columns)
    if path.suffix == ".csv":
        pa.csv.write_csv(table, path)
    else:
        pa.parquet.write_table(table, path)

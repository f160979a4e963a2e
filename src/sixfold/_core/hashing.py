"""Names for content: the same content has the same fingerprint on every machine."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

__all__ = ["canonical", "derive_seed", "file_digest", "fingerprint"]


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and no spaces: one byte string per value.

    >>> canonical({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    return msgspec.json.encode(value, order="deterministic")


def fingerprint(*parts: Any) -> str:
    """32 hexadecimal digits that name the content of `parts`: arrays, bytes, or anything JSON can hold.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    >>> fingerprint(np.arange(3)) == fingerprint(np.arange(4))
    False
    """
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        for chunk in _chunks(part):
            digest.update(len(chunk).to_bytes(8, "little"))
            digest.update(chunk)
    return digest.hexdigest()


def _chunks(part: Any) -> list[bytes]:
    if isinstance(part, np.ndarray):
        head = canonical([str(part.dtype), list(part.shape)])
        body = canonical(part.tolist()) if part.dtype == object else np.ascontiguousarray(part).tobytes()
        return [head, body]
    if isinstance(part, bytes):
        return [part]
    if isinstance(part, Mapping) and any(isinstance(value, np.ndarray) for value in part.values()):
        return [chunk for key, value in part.items() for chunk in (*_chunks(key), *_chunks(value))]
    return [canonical(part)]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def derive_seed(seed: int, *names: object) -> int:
    """A seed of its own for each named part, so that adding one part never moves the draws of another.

    >>> derive_seed(1, "ranker") == derive_seed(1, "ranker"), derive_seed(1, "ranker") == derive_seed(1, "retriever")
    (True, False)
    """
    return int(fingerprint([seed, *map(str, names)])[:15], 16)

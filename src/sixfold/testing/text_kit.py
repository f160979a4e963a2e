"""The conformance kits of models of text: any encoder, and any model that finds documents for a text."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array, Table, column
from sixfold.data.events import Events
from sixfold.frame import Entity
from sixfold.models.storage import read_model, write_model
from sixfold.models.text.contract import Encoder, FittedMatcher, Matcher

__all__ = ["LetterEncoder", "check_encoder", "check_matcher", "example_documents", "example_fields"]

_TOPICS = {
    "gardens": "tulips roses soil compost watering seeds pruning orchard shears greenhouse",
    "engines": "pistons turbine gearbox torque diesel exhaust valves carburettor crankshaft ignition",
    "oceans": "currents plankton tides salinity whales coral trenches abyss kelp mariners",
}

example_fields = Events("doc_meta", keys=(Entity("doc"),), fields={"title": str, "text": str})
"""The stream that the example documents are of."""


def example_documents(n: int = 60, *, seed: int = 0) -> Table:
    """Generated documents, each about one of three topics in turn; keys are 100, 101, …; one has no text."""
    rng = np.random.default_rng(seed)
    topics = list(_TOPICS.values())
    texts = [" ".join(rng.choice(topics[i % len(topics)].split(), 6, replace=False)) for i in range(n)]
    titles = [text.split()[0].capitalize() for text in texts]
    bodies: list[str | None] = [*texts[:-1], None]
    return Table({"item": np.arange(100, 100 + n), "title": column(titles, str), "text": column(bodies, str)})


@dataclass(frozen=True, slots=True)
class LetterEncoder:
    """An encoder of one's own, as small as can be: how often each pair of letters occurs, at length 1."""

    name: str = "letters"
    dim: int = 64

    def open(self) -> "LetterEncoder":
        """Itself: there is nothing to open."""
        return self

    def load(self, folder: Path) -> "LetterEncoder":
        """The same again."""
        return LetterEncoder(self.name, int(read_model(folder, "letters")[0]["dim"]))

    def encode(self, texts: Sequence[str]) -> Array:
        """One vector for each text."""
        out = np.full((len(texts), self.dim), 1e-3, np.float32)
        for row, text in enumerate(texts):
            for first, second in zip(text.lower(), text.lower()[1:], strict=False):
                out[row, (31 * ord(first) + ord(second)) % self.dim] += 1
        return np.asarray(out / np.linalg.norm(out, axis=1, keepdims=True), np.float32)

    def save(self, folder: Path) -> None:
        """Write model.json."""
        write_model(folder, "letters", {"dim": self.dim}, {})


def check_encoder(config: Encoder) -> None:
    """Hold an encoder to its contract: vectors of length 1, each of its own text alone, the same after loading."""
    encoder = config.open()
    texts = [
        "Tulips need soil.",
        "",
        "A turbine, and its torque: 3.5 kN·m",
        "word " * 2_000,
        "Tulips need soil.",
        "ß漢",
    ]
    vectors = encoder.encode(texts)
    assert vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == len(texts), "one float32 row a text"
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-4), "vectors must have length 1"
    assert vectors[0].tobytes() == vectors[4].tobytes(), "the same text must give the same vector"
    assert encoder.encode(texts[2:3])[0].tobytes() == vectors[2].tobytes(), "a vector must not depend on other texts"
    assert encoder.encode([]).shape == (0, vectors.shape[1]), "no texts, no vectors"
    with tempfile.TemporaryDirectory() as name:
        encoder.save(Path(name))
        again = config.load(Path(name)).encode(texts)
    assert again.tobytes() == vectors.tobytes(), "a loaded encoder must compute the same"


def check_matcher(config: Matcher, catalog: Table | None = None) -> FittedMatcher:
    """Hold a model of text to its contract on small documents; returns the fitted model.

    It finds what a text is about, best first; scores any document as it does those that it finds; searches among some
    as it does among all; says the same, to the bit, of a document alone and among others; and is the same when fitted
    or loaded again.
    """
    catalog = example_documents() if catalog is None else catalog
    fitted = config.fit(catalog, seed=1)
    assert fitted.items.tolist() == catalog["item"].tolist(), "items are the catalogue's, in its order"
    for text in _TOPICS.values():
        _check_search(config, fitted, text)
    keys, _ = fitted.search("tulips and roses", 5)
    assert len(keys) and keys[0] % 3 == 100 % 3, "what is found for tulips must be about gardens"
    assert len(fitted.search("", 5)[0]) <= 5 and len(fitted.search("tulips", 0)[0]) == 0, "an empty text is no error"
    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name, "a"), Path(name, "b")
        for folder, model in ((first, fitted), (second, config.fit(catalog, seed=1))):
            folder.mkdir()
            model.save(folder)
        for file in sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file()):
            assert (first / file).read_bytes() == (second / file).read_bytes(), f"fitted twice, {file} differs"
        again = config.load(first)
        for text in _TOPICS.values():
            _same(fitted, again, text)
        (first / "arrays.npz").write_bytes(b"damaged")
        try:
            config.load(first)
        except ModelError:
            return fitted
    raise AssertionError("a damaged model must be refused with a ModelError")


def _check_search(config: Matcher, fitted: FittedMatcher, text: str) -> None:
    keys, scores = fitted.search(text, 10)
    assert len(set(keys.tolist())) == len(keys) <= 10 and (np.diff(scores) <= 0).all(), "k different ones, best first"
    assert np.allclose(fitted.scores(text, keys), scores, atol=1e-5), "found or asked for, a score is the same"
    unknown = fitted.scores(text, np.array([-1, 10**9]))
    assert np.isnan(unknown).all(), "what is not in the catalogue has no score"
    among, _ = fitted.search(text, 3, among=np.append(keys[4:], 10**9))
    assert among.tolist() == keys[4:7].tolist(), "among some, those that come first among all"
    said = fitted.evidence(text, fitted.items)
    assert said.names == config.columns, f"evidence has the columns {config.columns}, found {said.names}"
    assert all(values.dtype == np.float64 and np.isfinite(values).all() for values in said.values()), "numbers of all"
    for row in (0, len(fitted.items) - 1):
        alone = fitted.evidence(text, fitted.items[row : row + 1])
        same = all(alone[name][0].tobytes() == said[name][row].tobytes() for name in said)
        assert same, "what is said of a document must not depend on the others that are asked about"


def _same(fitted: FittedMatcher, again: FittedMatcher, text: str) -> None:
    before, after = fitted.search(text, 10), again.search(text, 10)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(before, after, strict=True)), "loaded, it must find the same"
    first, second = (model.evidence(text, fitted.items) for model in (fitted, again))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first), "loaded, it must say the same"

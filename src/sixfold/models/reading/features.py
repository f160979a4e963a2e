"""What the reader looks at: each candidate span of the retrieved passages against the question."""

from collections.abc import Mapping, Sequence

import numpy as np

from sixfold._core.table import Array
from sixfold.models.reading.affinity import PARTS, Affinity
from sixfold.models.reading.question import KINDS, Question
from sixfold.models.reading.spans import LOOKS, N_CONTEXTS, N_SIGNATURES, Spans

__all__ = ["CODES", "FEATURES", "likely", "span_features"]

_FAR = 30.0
_WINDOWS = (2, 5, 10)
_AGAINST = (
    "sentence", "sentence_before", "sentence_after", "passage", "pairs", "missing_most", "left", "right",
    *(f"within_{w}" for w in _WINDOWS), "nearest_left", "nearest_right", "inside", "inside_words", "first_asked",
    "last_asked", "head_left", "head_right", "head_inside", "lead", "rarity",
)  # fmt: skip
_ASKED = ("kind", "terms", "helper", "headed", "rank")
_RELATIVE = ("sentence", "passage", "left", "right", "within_5", "within_10", "pairs")

FEATURES = (
    *LOOKS,
    *_AGAINST,
    *(f"odds_{part}" for part in PARTS),
    "odds",
    *_ASKED,
    *(f"short_{name}" for name in _RELATIVE),
)
"""The columns of `span_features`."""

CODES = {"kind": len(KINDS), "before": N_CONTEXTS, "after": N_CONTEXTS, "signature": N_SIGNATURES}
"""The columns that are codes, with how many there are."""

_SENTENCE = [
    FEATURES.index(name)
    for name in ("rank", "sentence_place", "sentence", "sentence_before", "sentence_after", "passage")
]
_PLACE = {name: i for i, name in enumerate(_AGAINST)}


def span_features(
    question: Question, passages: Sequence[Spans], affinity: Affinity, weights: Mapping[str, float], unknown: float
) -> Array:
    """The features of all spans of the passages, best passage first: (n_spans, len(FEATURES)) float32.

    `weights` has the inverse document frequency of each known stem, `unknown` that of a stem never seen.
    """
    idf = np.array([weights.get(term, unknown) for term in question.terms])
    parts = [_against(question, spans, idf, weights, unknown) for spans in passages]
    against = np.concatenate(parts) if parts else np.zeros((0, len(_AGAINST)), np.float32)
    looks = np.concatenate([spans.looks for spans in passages]) if parts else np.zeros((0, len(LOOKS)), np.float32)
    rank = np.repeat(np.arange(len(passages)), [len(spans) for spans in passages])
    odds = [affinity.of(question, spans) for spans in passages]
    counted = np.concatenate(odds) if odds else np.zeros((0, len(PARTS)), np.float32)
    asked = np.zeros((len(rank), len(_ASKED)), np.float32)
    asked[:] = KINDS.index(question.kind), len(question.terms), question.helper, bool(question.head), 0.0
    asked[:, -1] = rank
    chosen = against[:, [_PLACE[name] for name in _RELATIVE]]
    short = chosen.max(axis=0, initial=0.0) - chosen
    return np.concatenate([looks, against, counted, counted.sum(axis=1, keepdims=True), asked, short], axis=1)


def likely(features: Array, sentences: int) -> Array:
    """The spans of the sentences that have most to do with the question, (n_spans,) bool.

    What counts is the share of the question in the sentence, and less that in its neighbours and in the passage. On
    SQuAD's validation articles ten of about 25 sentences hold 98 % of the answers that are there.
    """
    rank, place, mine, before, after, whole = (features[:, column] for column in _SENTENCE)
    value = mine + 0.25 * np.maximum(before, after) + 0.5 * whole - 0.03 * rank
    _, number = np.unique(np.stack([rank, place], axis=1), axis=0, return_inverse=True)
    best = np.full(int(number.max(initial=-1)) + 1, -np.inf)
    np.maximum.at(best, number.ravel(), value)
    chosen = np.zeros(len(best), np.bool_)
    chosen[np.argsort(-best, kind="stable")[:sentences]] = True
    return np.asarray(chosen[number.ravel()])


def _against(question: Question, spans: Spans, idf: Array, weights: Mapping[str, float], unknown: float) -> Array:
    words, n = spans.words, len(spans.words)
    total = max(float(idf.sum()), 1e-9)
    at = {term: i for i, term in enumerate(question.terms)}
    where = np.array([at.get(stem, -1) for stem in words.stems], np.int64)
    hit = np.zeros((len(idf), n), np.bool_)
    hit[where[where >= 0], np.flatnonzero(where >= 0)] = True
    left, right = _distances(hit)
    near_left, near_right = left[:, spans.first], right[:, spans.last]
    near = np.minimum(near_left, near_right)
    share = idf / total
    inside = np.where(where >= 0, 1, 0)
    counted = np.concatenate([[0], np.cumsum(inside)])
    weighed = np.concatenate([[0.0], np.cumsum(np.where(where >= 0, share[where] if len(share) else 0.0, 0.0))])
    rare = np.concatenate([[0.0], np.cumsum([weights.get(stem, unknown) for stem in words.stems])])
    sentence = _sentences(hit, words.sentence, share)
    mine = words.sentence[spans.first]
    padded = np.concatenate([[0.0], sentence[0], [0.0]])
    head = np.array([stem == question.head.removeprefix("is ") for stem in words.stems], np.bool_)[None, :]
    head_left, head_right = _distances(head)
    heads = np.concatenate([[0], np.cumsum(head[0])])
    lead = np.array([False, *(word == question.lead for word in words.lower)], np.bool_)
    columns = [
        padded[mine + 1],
        padded[mine],
        padded[mine + 2],
        np.full(len(spans), share @ hit.any(axis=1)),
        _pairs(question, words.stems, words.sentence, mine),
        sentence[1][mine],
        share @ np.exp(-near_left / 4.0),
        share @ np.exp(-near_right / 4.0),
        *(share @ (near <= window) for window in _WINDOWS),
        near_left.min(axis=0, initial=_FAR),
        near_right.min(axis=0, initial=_FAR),
        weighed[spans.last + 1] - weighed[spans.first],
        counted[spans.last + 1] - counted[spans.first],
        inside[spans.first],
        inside[spans.last],
        head_left[0, spans.first],
        head_right[0, spans.last],
        heads[spans.last + 1] - heads[spans.first],
        lead[spans.first],
        (rare[spans.last + 1] - rare[spans.first]) / (spans.last - spans.first + 1),
    ]
    return np.array(columns, np.float32).T.reshape(len(spans), len(_AGAINST))


def _distances(hit: Array) -> tuple[Array, Array]:
    """For each term and word: how many words to the left, and to the right, the term is next found; `_FAR` at most."""
    n = hit.shape[1]
    here = np.arange(n)
    last = np.maximum.accumulate(np.where(hit, here, -int(_FAR) - n), axis=1)
    next_ = np.minimum.accumulate(np.where(hit, here, int(_FAR) + 2 * n)[:, ::-1], axis=1)[:, ::-1]
    left = np.full(hit.shape, _FAR)
    right = np.full(hit.shape, _FAR)
    left[:, 1:] = np.minimum(here[1:] - last[:, :-1], _FAR)
    right[:, :-1] = np.minimum(next_[:, 1:] - here[:-1], _FAR)
    return left, right


def _sentences(hit: Array, sentence: Array, share: Array) -> tuple[Array, Array]:
    """For each sentence the share of the question in it, and the largest share of a single term that it lacks."""
    n = int(sentence.max(initial=0)) + 1
    found = np.zeros((hit.shape[0], n), np.bool_)
    for number in range(n):
        found[:, number] = hit[:, sentence == number].any(axis=1)
    return share @ found, np.where(found, 0.0, share[:, None]).max(axis=0, initial=0.0)


def _pairs(question: Question, stems: tuple[str, ...], sentence: Array, mine: Array) -> Array:
    """For each span, how many pairs of neighbours of the question stand side by side in its sentence."""
    wanted = set(question.pairs)
    counts = np.zeros(int(sentence.max(initial=0)) + 1)
    for i in range(len(stems) - 1):
        if (stems[i], stems[i + 1]) in wanted:
            counts[sentence[i]] += 1
    return counts[mine]

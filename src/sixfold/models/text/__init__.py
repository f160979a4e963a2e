"""Text: models that find documents by words and by meaning, and say how well any document goes with a text."""

from sixfold.models.text.bm25 import BM25
from sixfold.models.text.contract import Encoder, FittedEncoder, FittedMatcher, Matcher
from sixfold.models.text.dense import Dense
from sixfold.models.text.encoder import SentenceEncoder

__all__ = ["BM25", "Dense", "Encoder", "FittedEncoder", "FittedMatcher", "Matcher", "SentenceEncoder"]

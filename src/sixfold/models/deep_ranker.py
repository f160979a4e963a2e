"""A multi-head neural ranker: one shared network, one head per outcome, served as an ONNX graph."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Table
from sixfold.frame import Outcome
from sixfold.models.calibration import Calibration, Curve
from sixfold.models.contract import Dataset, Progress, silent
from sixfold.models.encoding import Encoder
from sixfold.models.storage import read_model, write_model

__all__ = ["DeepRanker", "FittedDeepRanker", "load"]

KIND = "deep"


@dataclass(frozen=True, slots=True)
class DeepRanker:
    """A cross network beside a perceptron (DCN-v2, Wang et al. 2021) with a head for each outcome in `heads`.

    `categorical` names numeric features whose values are only names, such as an author's number; text always is.
    Amounts (labels that are not binary) are learnt as logarithms and always corrected to add up on the validation
    rows. `calibrate` does the same for probabilities. Log loss has them calibrated already, and a single validation
    day that is unlike the next ones spoils that: turn it on where validation has several days. `refit` learns once more
    from the training and the validation rows together, for as long as was best before: the newest day was worth .0007
    of AUC on real logs. `embedding_decay` pulls the vectors of categories to nought, each as hard as it is rare: on
    real logs it stops them from learning single rows by heart, and was worth .0015 of AUC.
    """

    heads: tuple[Outcome, ...]
    categorical: tuple[str, ...] = ()
    name: str = "ranker"
    calibrate: bool = False
    refit: bool = True
    members: int = 1
    embedding: int = 4
    cross_layers: int = 2
    cross_rank: int = 32
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.1
    epochs: int = 6
    patience: int = 4
    batch_rows: int = 2_048
    learning_rate: float = 8e-3
    weight_decay: float = 1e-2
    embedding_decay: float = 3.0

    def fit(self, train: Dataset, validate: Dataset, *, seed: int, progress: Progress = silent) -> "FittedDeepRanker":
        """Learn from `train`, stop by `validate`; the same data, config and seed give the same bytes.

        Raises ModelError if a head is no label, has no rows, or never varies.
        """
        from sixfold.models import deep_graph as graphs
        from sixfold.models import deep_network as network

        heads = tuple(outcome.name for outcome in self.heads)
        check_heads(heads, train, validate)
        encoder = Encoder.fit(train.features, categorical=self.categorical)
        targets = tuple(
            network.Target.of(head, train.labels[head], train.weights[head], binary=head in train.binary)
            for head in heads
        )
        rows, check = (_batch(encoder, part, targets) for part in (train, validate))
        shape = network.Shape(
            self.members, self.embedding, self.cross_layers, self.cross_rank, self.hidden, self.dropout
        )
        schedule = network.Schedule(
            self.epochs, self.patience, self.batch_rows, self.learning_rate, self.weight_decay, self.embedding_decay
        )
        place = network.placement(rows.numbers)
        shared = graphs.Columns(
            *(
                tuple(i for i, name in enumerate(names) if name in train.shared)
                for names in (encoder.numeric, encoder.categorical)
            )
        )
        with network.one_thread(seed):
            net = network.build(shape, encoder.sizes, place, targets)
            n_looks = network.train(net, rows, targets, schedule, until=check, progress=progress)
            graph = graphs.to_onnx(net, len(encoder.numeric), len(encoder.categorical), shared)
        raw = FittedDeepRanker(heads, encoder, graph, Calibration({}), train.shared).predict(validate.features)
        curves = fit_curves(raw, validate, binary=self.calibrate)
        if self.refit:
            with network.one_thread(seed):
                net = network.build(shape, encoder.sizes, place, targets)
                network.train(net, rows + check, targets, schedule, until=n_looks, progress=silent)
                graph = graphs.to_onnx(net, len(encoder.numeric), len(encoder.categorical), shared)
        return FittedDeepRanker(heads, encoder, graph, curves, train.shared)


class FittedDeepRanker:
    """The graph with what comes before it (the encoder) and after it (the calibration); serving needs no torch."""

    def __init__(
        self,
        heads: tuple[str, ...],
        encoder: Encoder,
        graph: bytes,
        calibration: Calibration,
        shared: Collection[str] = (),
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._heads, self._encoder, self._graph, self._calibration = heads, encoder, graph, calibration
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._inputs = {value.name for value in self._session.get_inputs()}
        self._shared = encoder.only([name for name in encoder.columns if name in shared])
        self._own = encoder.only([name for name in encoder.columns if name not in shared])

    @property
    def heads(self) -> tuple[str, ...]:
        """The labels predicted, in order."""
        return self._heads

    def predict(self, features: Table) -> Table:
        """One float64 column per head, (n_rows,); raises InputError if a feature column is missing."""
        # What all candidates of a request share comes as views of one value: the graph then needs one row of it.
        columns = {name: features[name] for name in self._shared.columns}
        if features and self._own.columns and all(values.strides == (0,) for values in columns.values()):
            columns = {name: values[:1] for name, values in columns.items()}
        once = Table(columns)
        feeds = {
            "shared_numbers": self._shared.numbers(once),
            "shared_codes": self._shared.codes(once),
            "numbers": self._own.numbers(features),
            "codes": self._own.codes(features),
        }
        out = self._session.run(None, {name: feeds[name] for name in feeds if name in self._inputs})[0]
        return Table({head: self._calibration.apply(head, out[:, i]) for i, head in enumerate(self._heads)})

    def save(self, folder: Path) -> None:
        """Write the settings, the calibration curves and model.onnx."""
        settings = {"heads": list(self._heads), "encoder": self._encoder.spec(), "shared": list(self._shared.columns)}
        write_model(folder, KIND, settings, self._calibration.arrays())
        (folder / "model.onnx").write_bytes(self._graph)


def load(folder: Path) -> FittedDeepRanker:
    """The model that `save` wrote into `folder`; raises ModelError if it is damaged."""
    settings, arrays = read_model(folder, KIND)
    path = folder / "model.onnx"
    if not path.is_file():
        raise ModelError(f"the graph of the model in {folder} is missing: model.onnx")
    encoder = Encoder.from_spec(settings["encoder"])
    calibration = Calibration.from_arrays(arrays)
    return FittedDeepRanker(
        tuple(settings["heads"]), encoder, path.read_bytes(), calibration, settings.get("shared", ())
    )


def check_heads(heads: tuple[str, ...], train: Dataset, validate: Dataset) -> None:
    """Raise ModelError unless both parts have rows and each head varies in the training rows."""
    if not heads:
        raise ModelError("the ranker has no heads", hint="give it the labels to predict: heads=(long_view, ...)")
    if not len(train) or not len(validate):
        raise ModelError(f"nothing to learn from: {len(train)} training and {len(validate)} validation rows")
    if lost := [head for head in heads if head not in train.labels]:
        raise ModelError(f"no labels {lost} in the data; there are {', '.join(train.labels.names)}")
    if flat := [head for head in heads if np.ptp(train.labels[head]) == 0]:
        raise ModelError(
            f"labels {flat} are the same in all {len(train)} training rows", hint="leave them out, or use more history"
        )


def fit_curves(raw: Table, validate: Dataset, *, binary: bool) -> Calibration:
    """The curves of all amounts and, if `binary`, of all probabilities, from predictions for the validation rows."""
    curves = {
        head: Curve.fit(raw[head], validate.labels[head], validate.weights[head], binary=head in validate.binary)
        for head in raw.names
        if binary or head not in validate.binary
    }
    return Calibration(curves)


def _batch(encoder: Encoder, part: Dataset, targets: Any) -> Any:
    from sixfold.models.deep_network import Batch

    wanted = [target.encode(part.labels[target.name]) for target in targets]
    weights = [part.weights[target.name] for target in targets]
    return Batch(
        encoder.numbers(part.features), encoder.codes(part.features), np.stack(wanted, 1), np.stack(weights, 1)
    )

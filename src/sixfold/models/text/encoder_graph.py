"""A sentence encoder as an ONNX graph, made from the weights of a BERT: neither training nor serving needs torch.

One text at a time goes through it, unpadded. So the vector of a text depends on that text alone, never on what else
was encoded with it, and no padding is computed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sixfold._core.errors import ModelError
from sixfold._core.table import Array

__all__ = ["Architecture", "encoder_graph", "read_bert"]

_DOMAINS = (("", 20), ("com.microsoft", 1))


@dataclass(frozen=True, slots=True)
class Architecture:
    """The shape of a BERT: what its `config.json` says, and whether vectors are means over pieces or the first's."""

    layers: int
    heads: int
    epsilon: float
    mean: bool


def read_bert(folder: Path) -> tuple[Architecture, dict[str, Array]]:
    """The architecture and the weights in a folder of Hugging Face's layout; raises ModelError if it is no BERT."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        config = json.loads((folder / "config.json").read_text())
        pooling = folder / "1_Pooling" / "config.json"
        mean = json.loads(pooling.read_text())["pooling_mode_mean_tokens"] if pooling.is_file() else True
        weights = load_file(folder / "model.safetensors")
        if config["model_type"] != "bert" or config["hidden_act"] != "gelu":
            raise ModelError(
                f"{folder} holds a model of type {config['model_type']!r}: only BERTs with gelu are known here",
                hint="give an encoder of your own: anything with `encode`",
            )
        shape = Architecture(
            config["num_hidden_layers"], config["num_attention_heads"], config["layer_norm_eps"], bool(mean)
        )
        return shape, {name.removeprefix("bert."): values.astype(np.float32) for name, values in weights.items()}
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ModelError(f"no sentence encoder can be read from {folder}: {error}") from error


def encoder_graph(shape: Architecture, weights: Mapping[str, Array], *, whole: bool) -> bytes:
    """The graph: `pieces` (length,) int64 in, `vector` (dim,) float32 of length 1 out.

    With `whole` the products are of whole numbers of 8 bits: activations are rounded at run time, weights now, each
    column to its own scale (Jacob et al., CVPR 2018). That takes a third of the time.
    """
    return _Graph(shape, weights, whole).bytes()


class _Graph:
    """A graph in the making; each method adds nodes and gives the name of what they make."""

    def __init__(self, shape: Architecture, weights: Mapping[str, Array], whole: bool) -> None:
        self._shape, self._weights, self._whole = shape, weights, whole
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def bytes(self) -> bytes:
        """The whole model."""
        from onnx import TensorProto, helper

        hidden = self._embeddings()
        for layer in range(self._shape.layers):
            hidden = self._layer(hidden, f"encoder.layer.{layer}.")
        if self._shape.mean:
            pooled = self._add("ReduceMean", hidden, self._constant(np.array([0])), keepdims=0)
        else:
            pooled = self._add("Gather", hidden, self._constant(np.array(0)), axis=0)
        self._add("LpNormalization", pooled, axis=0, p=2, output="vector")
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info("pieces", TensorProto.INT64, ["length"])],
            [helper.make_tensor_value_info("vector", TensorProto.FLOAT, [self._width])],
            self._constants,
        )
        domains = [helper.make_opsetid(*domain) for domain in _DOMAINS]
        return bytes(helper.make_model(graph, opset_imports=domains, ir_version=9).SerializeToString())

    @property
    def _width(self) -> int:
        return int(self._weight("embeddings.word_embeddings.weight").shape[1])

    def _weight(self, name: str) -> Array:
        if name not in self._weights:
            raise ModelError(f"the encoder's weights lack {name}")
        return self._weights[name]

    def _constant(self, values: Array) -> str:
        from onnx import numpy_helper

        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def _add(self, kind: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        output = output or f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **attributes))
        return output

    def _embeddings(self) -> str:
        """Words as half precision, which keeps what matters of them in half the space; places and type are added."""
        words = self._constant(self._weight("embeddings.word_embeddings.weight").astype(np.float16))
        found = self._add("Cast", self._add("Gather", words, "pieces", axis=0), to=1)
        types = self._weight("embeddings.token_type_embeddings.weight")[0]
        places = self._constant(self._weight("embeddings.position_embeddings.weight") + types)
        length = self._add("Shape", "pieces")
        there = self._add("Slice", places, self._constant(np.array([0])), length)
        return self._normalised(self._add("Add", found, there), "embeddings.")

    def _normalised(self, x: str, prefix: str) -> str:
        scale, bias = (self._constant(self._weight(f"{prefix}LayerNorm.{part}")) for part in ("weight", "bias"))
        return self._add("LayerNormalization", x, scale, bias, epsilon=self._shape.epsilon)

    def _layer(self, x: str, prefix: str) -> str:
        attended = self._dense(self._attention(x, f"{prefix}attention.self."), f"{prefix}attention.output.dense.")
        x = self._normalised(self._add("Add", attended, x), f"{prefix}attention.output.")
        inner = self._add("Gelu", self._dense(x, f"{prefix}intermediate.dense."))
        return self._normalised(self._add("Add", self._dense(inner, f"{prefix}output.dense."), x), f"{prefix}output.")

    def _attention(self, x: str, prefix: str) -> str:
        """softmax(Q K' / sqrt(d)) V by head (Vaswani et al., 2017), the three projections as one product."""
        heads, width = self._shape.heads, self._width
        parts = [
            (self._weight(f"{prefix}{part}.weight").T, self._weight(f"{prefix}{part}.bias"))
            for part in ("query", "key", "value")
        ]
        root = np.float32((width // heads) ** -0.5)
        parts[0] = parts[0][0] * root, parts[0][1] * root
        all_of = self._product(x, np.concatenate([w for w, _ in parts], axis=1), np.concatenate([b for _, b in parts]))
        apart = self._add("Reshape", all_of, self._constant(np.array([-1, 3, heads, width // heads])))
        # (3, heads, length, d) for queries and values; keys the other way round.
        first = self._add("Transpose", apart, perm=[1, 2, 0, 3])
        pieces = [self._add("Gather", first, self._constant(np.array(i)), axis=0) for i in range(3)]
        keys = self._add("Transpose", pieces[1], perm=[0, 2, 1])
        chances = self._add("Softmax", self._add("MatMul", pieces[0], keys), axis=-1)
        mixed = self._add("Transpose", self._add("MatMul", chances, pieces[2]), perm=[1, 0, 2])
        return self._add("Reshape", mixed, self._constant(np.array([-1, width])))

    def _dense(self, x: str, prefix: str) -> str:
        return self._product(x, self._weight(f"{prefix}weight").T, self._weight(f"{prefix}bias"))

    def _product(self, x: str, weight: Array, bias: Array) -> str:
        if not self._whole:
            return self._add("Add", self._add("MatMul", x, self._constant(weight)), self._constant(bias))
        scale = np.maximum(np.abs(weight).max(axis=0), 1e-9) / 127
        rounded = np.clip(np.rint(weight / scale), -127, 127).astype(np.int8)
        return self._add(
            "DynamicQuantizeMatMul",
            x,
            self._constant(rounded),
            self._constant(scale.astype(np.float32)),
            self._constant(np.zeros(len(scale), np.int8)),
            self._constant(bias),
            domain="com.microsoft",
        )

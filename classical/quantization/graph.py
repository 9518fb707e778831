"""What a model computes, operation by operation, by torch.export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Node as ExportedNode
from torch.utils._pytree import tree_leaves, tree_map

from classical.errors import UsageError
from classical.metrics.running import check_inputs
from classical.quantization.layers import check_plain


@dataclass(frozen=True)
class Ref:
    """The result of another operation, by its name."""

    name: str


@dataclass(frozen=True)
class Node:
    """One operation.

    Attributes:
        name: of its result, unique.
        op: PyTorch's name, such as "conv2d"; operations in place have that of those that are not.
        layer: name of the module it happens in, for messages.
        target: what is called.
        arguments: by their names in PyTorch's schema: `Ref`, tensors (parameters and constants),
            plain values, or lists of them, defaults included.
        weight: name of its parameter "weight" in the model, if it has one.
        shape: of its result, batch included.
    """

    name: str
    op: str
    layer: str
    target: Any
    arguments: Mapping[str, Any]
    weight: str | None
    shape: tuple[int, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """Results it reads."""
        return tuple(a.name for a in tree_leaves([*self.arguments.values()]) if isinstance(a, Ref))

    def call(self, values: Mapping[str, Tensor], **changed: Any) -> Tensor:
        """Its result, from those it reads and with some arguments changed."""
        filled = tree_map(
            lambda a: values[a.name] if isinstance(a, Ref) else a, {**self.arguments, **changed}
        )
        if self.target._schema.is_mutable:
            first = next(iter(filled))
            filled[first] = filled[first].clone()
        result: Tensor = self.target(**filled)
        return result


@dataclass(frozen=True)
class Graph:
    """Operations in order, from one input to one output.

    Attributes:
        input: name of what is given.
        output: name of what comes out.
        nodes: the operations.
        shape: of the input, batch included.
    """

    input: str
    output: str
    nodes: tuple[Node, ...]
    shape: tuple[int, ...]

    def users(self, name: str) -> tuple[Node, ...]:
        """Operations that read a result."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def run(self, x: Tensor) -> dict[str, Tensor]:
        """All results for an input of the traced shape, by name."""
        values = {self.input: x}
        with torch.no_grad():
            for node in self.nodes:
                values[node.name] = node.call(values)
        return values


def trace(model: nn.Module, x: Tensor) -> Graph:
    """The operations of a model in evaluation mode.

    Args:
        model: one tensor in, one tensor out; its weights are those of the graph.
        x: an input, batch included.

    Raises:
        UsageError: if the model cannot be followed, has quantizers, or more inputs or outputs.
    """
    check_inputs(model, x)
    check_plain(model)
    frozen = deepcopy(model).eval()
    try:
        program = torch.export.export(frozen, (x,))
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"torch.export cannot follow {type(model).__name__} on an input of shape "
            f"{list(x.shape)}: {reason}"
        ) from error
    signature = program.graph_signature
    if len(signature.user_inputs) != 1 or len(signature.user_outputs) != 1:
        raise UsageError("a model to quantize takes one tensor and gives one tensor")
    names = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
    tensors = {
        key: program.state_dict.get(name, program.constants.get(name))
        for key, name in {**names, **signature.inputs_to_lifted_tensor_constants}.items()
    }
    calls = [node for node in program.graph.nodes if node.op == "call_function"]
    for call in calls:
        if not hasattr(call.target, "_schema"):  # it takes one of several results
            raise UsageError(
                f"{type(model).__name__} has an operation with several results "
                f"({call.args[0].name}), and those here have one: replace it, or quantize the "
                "parts of the model around it"
            )
    nodes = [_node(call, tensors, names) for call in calls]
    return Graph(
        str(signature.user_inputs[0]),
        str(signature.user_outputs[0]),
        tuple(nodes),
        tuple(x.shape),
    )


def pair(sizes: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of an argument that has one number for both, or one for each."""
    both = [sizes] * 2 if isinstance(sizes, int) else list(sizes) * (3 - len(sizes))
    return both[0], both[1]


def _node(
    node: ExportedNode,
    tensors: Mapping[str, Tensor],
    names: Mapping[str, str],
) -> Node:
    def resolve(argument: Any) -> Any:
        if isinstance(argument, ExportedNode):
            return tensors.get(argument.name, Ref(argument.name))
        return argument

    given = dict(node.kwargs)
    arguments = {}
    for place, formal in enumerate(node.target._schema.arguments):  # type: ignore[union-attr]
        default = given.get(formal.name, formal.default_value)
        argument = node.args[place] if place < len(node.args) else default
        arguments[formal.name] = tree_map(resolve, argument)
    stack = list((node.meta.get("nn_module_stack") or {"": ("", "")}).values())
    weight = next(
        (names[a.name] for a in node.args if isinstance(a, ExportedNode) and a.name in names), None
    )
    value = node.meta.get("val")
    return Node(
        name=node.name,
        op=node.target.overloadpacket.__name__.rstrip("_"),  # type: ignore[union-attr]
        layer=stack[-1][0],
        target=node.target,
        arguments=arguments,
        weight=weight,
        shape=tuple(value.shape) if isinstance(value, Tensor) else (),
    )

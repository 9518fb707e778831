"""Peak memory of operations in a row, as on a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from classical.quantization.graph import Node
from classical.tiny.windows import POINTWISE

_VIEWS = {"flatten", "view", "reshape", "squeeze", "unsqueeze", "pad"}


def peak_values(
    nodes: Sequence[Node],
    sizes: Mapping[str, int],
    kept: Iterable[str],
    elsewhere: str | None = None,
) -> int:
    """The most values alive at once.

    Batch normalization counts as folded, and what works on single elements writes over an operand
    that nobody needs later, as in `classical.nas.predict_costs`; borders of zeros are not stored.

    Args:
        nodes: in order; results of others that they read are alive from the start.
        sizes: values of each result, by name.
        kept: results that are needed after them.
        elsewhere: a result that is written to memory which is not counted here.
    """
    last = {name: number for number, node in enumerate(nodes) for name in node.inputs}
    last |= dict.fromkeys(kept, len(nodes))
    made = {node.name for node in nodes}
    places = {name: name for name in last if name not in made}
    first = dict.fromkeys(places, 0)
    for number, node in enumerate(nodes):
        places[node.name] = _place(node, number, last, places, sizes)
        first.setdefault(places[node.name], number)
    over = dict(first)
    for name, place in places.items():
        over[place] = max(over[place], last.get(name, 0))
    counted = [place for place in first if place != places.get(elsewhere or "")]
    alive = (
        sum(sizes[place] for place in counted if first[place] <= number <= over[place])
        for number in range(len(nodes))
    )
    return max(alive, default=0)


def _place(
    node: Node,
    number: int,
    last: Mapping[str, int],
    places: Mapping[str, str],
    sizes: Mapping[str, int],
) -> str:
    """Where a result goes: the name of the result in whose place it is written, or its own."""
    if node.op in _VIEWS:
        return places[node.inputs[0]]
    if node.op in POINTWISE:
        # The branch before the shortcut: what enters a block is needed longer.
        for name in reversed(node.inputs):
            sharing = [other for other in places if places[other] == places[name]]
            over = all(last.get(other, number) <= number for other in sharing)
            if over and sizes[name] == sizes[node.name]:
                return places[name]
    return node.name

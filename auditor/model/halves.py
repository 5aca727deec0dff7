"""A network in two parts: the frozen one, which answers once for each image, and the one that is tuned.

A backbone may name its parts one after another (`BackboneKind.parts`). For all others torch.fx follows the network from
module to module, and it is cut at the last place before the tuned layers where one tensor carries everything. A module
that is wholly frozen or wholly tuned is not looked into, so most networks can be followed, however they are written.
Both ways are tried on an example: two parts that do not say what the network says are not used.
"""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Sequence

import torch
from torch import fx, nn
from torch.utils.flop_counter import FlopCounterMode

from auditor.compute.hardware import seeded
from auditor.model import training
from auditor.model.backbone import BackboneKind, channels_last, in_order

MOST_TUNED = 0.9
"""The last layers that hold this part of a network's parameters are its late layers."""

TOLERANCE = 1e-3
"""How far two parts may be from the whole network, of its largest answer. Rounding is a thousandth of that."""


class Halves:
    """A network in two parts: the frozen one, whose answers are kept, and the one that is tuned.

    Where no place to cut is found, the frozen part gives the images as they are, and all of the network runs each time.

    Parameters
    ----------
    kind, network
        The backbone. It is copied.
    layers
        What is tuned, as `--train` says: `full` or `layers:NAME,...`. The classifying layer is tuned in any case.
    size
        The edge in pixels of the images.

    Attributes
    ----------
    lower, upper
        Images float32 [n, 3, S, S] to maps [n, ...], and these to logits [n, C].
    classifier
        The classifying layer's name, in `upper` too.
    layers, size
        As they were given.
    """

    def __init__(self, kind: BackboneKind, network: nn.Module, layers: str, size: int) -> None:
        whole = copy.deepcopy(network).eval()
        training.trainable(whole, layers, kind.classifier)
        for parameter in whole.get_submodule(kind.classifier).parameters():
            parameter.requires_grad_(True)
        self.classifier, self.layers, self.size = kind.classifier, layers, size
        self.lower, self.upper = _fitting(whole, _chained(kind, whole) or _followed(whole, kind.classifier), size)

    @property
    def n_tuned(self) -> int:
        """The parameters that are tuned."""
        return sum(p.numel() for p in self.upper.parameters() if p.requires_grad)


Two = tuple[nn.Module, nn.Module]


def _fitting(whole: nn.Module, two: Two | None, size: int) -> Two:
    """Two parts that say together what the network says; where these do not, nothing and all of it.

    Channels lie last in memory, which is faster, unless the network asks for the other order.
    """
    with seeded(0), torch.no_grad():
        images = torch.randn(3, 3, size, size)
        wanted = whole(images)
        shown = images.contiguous(memory_format=torch.channels_last)
        for pair in (two, (nn.Sequential(), whole)):
            if pair is None:
                continue
            channels_last(pair[0]), channels_last(pair[1])
            if _agree(pair, shown, wanted):
                return pair
            for part in pair:
                part.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
                part.register_forward_pre_hook(in_order)
            if _agree(pair, shown, wanted):
                return pair
    return nn.Sequential(), whole


def _agree(two: Two, images: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether two parts give what is wanted, and one row of numbers between them for each image."""
    try:
        kept = two[0](images)
        if not isinstance(kept, torch.Tensor) or len(kept) != len(images) or not kept.is_floating_point():
            return False
        found = two[1](kept)
    except Exception:  # a network from elsewhere may raise anything
        return False
    return bool((found - wanted).abs().max() <= TOLERANCE * wanted.abs().max())


def _chained(kind: BackboneKind, whole: nn.Module) -> Two | None:
    """The parts that the backbone names, before the first tuned one and from it on."""
    parts = kind.parts(whole)
    first = next((i for i, (_, part) in enumerate(parts) if _tuned(part)), 0)
    if not first:
        return None
    upper = nn.Sequential()
    for name, part in parts[first:]:
        upper.add_module(name, part)
    return nn.Sequential(*(part for _, part in parts[:first])), upper


def _tuned(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())


class _Follower(fx.Tracer):
    """Looks into a module only where some of its parameters are frozen and some are tuned."""

    def __init__(self, classifier: str) -> None:
        super().__init__()
        self.classifier = classifier

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return module_qualified_name == self.classifier or len({p.requires_grad for p in m.parameters()}) < 2


def _followed(whole: nn.Module, classifier: str) -> Two | None:
    """The network cut where one tensor carries everything; None where it cannot be followed, or is no such place."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = _Follower(classifier).trace(whole)
    except Exception:  # its code may do anything that torch.fx cannot follow
        return None
    fx.GraphModule(whole, graph).graph.eliminate_dead_code()  # steps without a result would carry values past the cut
    nodes = [node for node in graph.nodes if node.op not in ("get_attr", "output")]
    first = next((i for i, node in enumerate(nodes) if _uses_tuned(node, whole)), 0)
    for at in range(first - 1, 0, -1):
        if _carries_everything(nodes, at):
            return _part(whole, nodes[: at + 1], None), _part(whole, nodes[at + 1 :], nodes[at])
    return None


def _uses_tuned(node: fx.Node, whole: nn.Module) -> bool:
    """Whether a step of the network reads a tuned parameter."""
    if node.op == "call_module":
        return _tuned(whole.get_submodule(str(node.target)))
    read = [source for source in node.all_input_nodes if source.op == "get_attr"]
    return any(getattr(operator.attrgetter(str(source.target))(whole), "requires_grad", False) for source in read)


def _carries_everything(nodes: Sequence[fx.Node], at: int) -> bool:
    """Whether what comes after step `at` reads nothing from before but its result, and the number of images."""
    before, after = set(nodes[:at]), nodes[at + 1 :]
    return all(source not in before or _counts_images(source) for node in after for source in node.all_input_nodes)


def _counts_images(node: fx.Node) -> bool:
    """Whether a step asks how many images there are: `x.size(0)` or `x.shape[0]`."""
    if node.op == "call_method" and node.target == "size":
        return node.args[1:] == (0,)
    if node.op != "call_function" or node.target is not operator.getitem or node.args[1] != 0:
        return False
    source = node.args[0]
    if not isinstance(source, fx.Node):
        return False
    by_shape = source.op == "call_function" and source.target is getattr and source.args[1:] == ("shape",)
    return by_shape or (source.op == "call_method" and source.target == "size" and len(source.args) == 1)


def _part(whole: nn.Module, nodes: Sequence[fx.Node], start: fx.Node | None) -> nn.Module:
    """Some steps of a network as a module. `start` is the step whose result it is given; None for the images."""
    graph = fx.Graph()
    known: dict[fx.Node, fx.Node] = {}
    if start is not None:
        known[start] = graph.placeholder("maps")

    def found(source: fx.Node) -> fx.Node:
        if source not in known:
            if source.op != "get_attr":  # the number of images: `_carries_everything` lets nothing else pass
                known[source] = graph.call_method("size", (known[start], 0))  # type: ignore[index]
            else:
                known[source] = graph.node_copy(source)
        return known[source]

    for node in nodes:
        known[node] = graph.node_copy(node, found)
    graph.output(known[nodes[-1]])
    return fx.GraphModule(whole, graph).eval()


def late_layers(network: nn.Module, classifier: str) -> str:
    """The last layers that hold nine tenths of a network's parameters, as `--train` names them.

    They see the most that can be adapted, and their inputs are small. The classifying layer is not counted. A layer
    that holds most of the parameters is taken by its own layers.
    """
    sizes = _layers(network, "", classifier, sum(p.numel() for p in network.parameters()))
    chosen, held, whole = list[str](), 0, sum(size for _, size in sizes)
    for name, size in reversed(sizes):
        if held >= MOST_TUNED * whole:
            return "layers:" + ",".join(_gathered(list(reversed(chosen)), [name for name, _ in sizes]))
        chosen, held = [*chosen, name], held + size
    return "full"


def _layers(module: nn.Module, path: str, classifier: str, whole: int) -> list[tuple[str, int]]:
    """Names of layers with their parameters, in order."""
    found = list[tuple[str, int]]()
    for name, child in module.named_children():
        own, size = f"{path}{name}", sum(p.numel() for p in child.parameters())
        inner = _layers(child, f"{own}.", classifier, whole) if size > whole / 2 else []
        if own == classifier or not size:
            continue
        split = len(inner) > 1 and sum(n for _, n in inner) >= MOST_TUNED * size
        found += inner if split else [(own, size)]
    return found


def _gathered(chosen: list[str], every: list[str]) -> list[str]:
    """The chosen layers, with the name of the layer around them where all of its layers are chosen."""
    named = list[str]()
    for name in chosen:
        outer = name.rpartition(".")[0]
        within = [other for other in every if outer and other.startswith(f"{outer}.")]
        short = outer if outer and all(other in chosen for other in within) else name
        if short not in named:
            named.append(short)
    return named


def operations(halves: Halves) -> float:
    """Floating-point operations of one training step on one image, counted and not timed.

    The pass back takes about twice those of the pass forward.
    """
    with torch.inference_mode():
        seen = halves.lower(torch.zeros(1, 3, halves.size, halves.size))
        with FlopCounterMode(display=False) as counter:
            halves.upper(seen)
    return 3.0 * float(counter.get_total_flops())


def map_bytes(halves: Halves) -> int:
    """Bytes that the kept answers take for one image: of itself and of its mirror image."""
    with torch.inference_mode():
        return 4 * int(halves.lower(torch.zeros(1, 3, halves.size, halves.size)).numel())

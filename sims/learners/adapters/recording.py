"""Record a function of tensors as a graph of PyTorch's own operations, which spares what torch.func does in every call."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingImports=false
# pyright: reportUnknownParameterType=false, reportUnknownMemberType=false, reportUntypedBaseClass=false
# PyTorch need not be installed where types are checked.

from collections.abc import Callable
from typing import Any

try:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
except ImportError as error:
    raise ImportError("TorchLearner needs PyTorch: pip install 'dfdw[torch]'") from error

__all__ = ["recorded"]

_VIEWS = ("view", "_unsafe_view", "expand", "detach", "alias")


class _Recorder(TorchDispatchMode):
    """Writes every operation into a graph."""

    def __init__(self, inputs: list[Any]) -> None:
        super().__init__()
        self.graph, self.constants, self.numbers = torch.fx.Graph(), torch.nn.Module(), 0
        self.alive = list(inputs)  # an identity names a tensor as long as it lives
        self.nodes = {id(tensor): self.graph.placeholder(f"given_{k}") for k, tensor in enumerate(inputs)}
        self.idle = {getattr(torch.ops.aten, name).default for name in _VIEWS}

    def node(self, value: Any) -> Any:
        """Return the node of a tensor, and any other value as it is; a tensor from outside is a constant."""
        if not isinstance(value, torch.Tensor):
            return value
        if id(value) not in self.nodes:
            name = f"constant_{len(self.alive)}"
            self.constants.register_buffer(name, value)
            self.nodes[id(value)] = self.graph.get_attr(name)
            self.alive.append(value)
        return self.nodes[id(value)]

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise TypeError(
                "the module or the loss asks for the value of a tensor, expected tensors only: use torch.where, not if"
            )
        if func is torch.ops.aten.lift_fresh.default:
            func = torch.ops.aten.clone.default  # a constant that is written to must be another one at the next call
        if func is torch.ops.aten.bmm.default and args[0].shape[2] == 1:
            func = torch.ops.aten.mul.Tensor  # products of one term: the same numbers in less than half of the time
        found = func(*args, **(kwargs or {}))
        same = func in self.idle and found.shape == args[0].shape and found.dtype == args[0].dtype
        if same:
            node = self.node(args[0])
        else:
            node = self.graph.call_function(func, tree_map(self.node, args), tree_map(self.node, kwargs or {}))
        several = isinstance(found, tuple | list)
        for k, tensor in enumerate(found if several else (found,)):
            if isinstance(tensor, torch.Tensor):
                self.nodes[id(tensor)] = self.graph.call_function(_entry, (node, k)) if several else node
                self.alive.append(tensor)
                self.numbers += tensor.numel()
        return found


def _entry(values: Any, number: int) -> Any:
    return values[number]


def recorded(function: Callable[..., Any], *given: Any) -> tuple[Callable[..., Any], int]:
    """Return the operations of function(*given) as a function of other tensors of these shapes, and how many numbers it makes.

    Arguments and results are tensors, None, and tuples of them. The function must not depend on the values of its tensors.
    """
    inputs, _ = tree_flatten(given)
    tensors = [value for value in inputs if isinstance(value, torch.Tensor)]
    with _Recorder(tensors) as recorder:
        results = function(*given)
    outputs, shape = tree_flatten(results)
    recorder.graph.output([recorder.node(value) for value in outputs])
    recorder.graph.eliminate_dead_code()
    graph = torch.fx.GraphModule(recorder.constants, recorder.graph)

    def again(*given: Any) -> Any:
        return tree_unflatten(graph(*(value for value in tree_flatten(given)[0] if isinstance(value, torch.Tensor))), shape)

    return again, recorder.numbers

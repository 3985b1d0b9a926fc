"""Find out before training whether a PyTorch module and its loss can be trained on weighted rows, and say what does not fit."""

# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportMissingImports=false
# pyright: reportUnknownParameterType=false, reportUnknownMemberType=false
# PyTorch need not be installed where types are checked.

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

try:
    import torch
    from torch.func import functional_call
except ImportError as error:
    raise ImportError("TorchLearner needs PyTorch: pip install 'dfdw[torch]'") from error

__all__ = ["LOSSES", "Probe"]


def _logistic(f: Any, y: Any) -> Any:
    return torch.logaddexp(torch.zeros_like(f), (1.0 - 2.0 * y) * f)


def _squared(f: Any, y: Any) -> Any:
    return 0.5 * (f - y) ** 2


def _softmax(z: Any, y: Any) -> Any:
    return torch.logsumexp(z, 1) - torch.gather(z, 1, y[:, None])[:, 0]


LOSSES: dict[str, Callable[[Any, Any], Any]] = {"logistic": _logistic, "squared": _squared, "softmax": _softmax}
_ROUNDING = 1e-9  # relative; another number of rows changes the order of sums


@dataclass(frozen=True)
class Probe:
    """Asks the module of seed 0 and the loss for everything that training needs."""

    built: Callable[[int], Any]
    loss: Callable[[Any, Any], Any]
    output: Callable[[Any], Any] | None
    X: Any
    y: Any
    X_query: Any

    def outputs(self) -> int | None:
        """Return the number of outputs, None for one; raise TypeError or ValueError with the reason if something does not fit."""
        module = self.built(0)
        self._require_parameters(module)
        self._require_same_start(module)
        both = torch.cat([self.X, self.X_query])
        found = self._called(module, both)
        if not isinstance(found, torch.Tensor) or found.ndim not in (1, 2) or found.shape[0] != len(both):
            shown = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise TypeError(
                f"module(X) is {shown} for {len(both)} rows, expected ({len(both)},) or ({len(both)}, C): one row each"
            )
        if found.dtype != torch.float64:
            raise TypeError(f"module(X) is {found.dtype}, expected float64: set no dtype inside the module, or make it that of X")
        if not torch.isfinite(found).all():
            raise ValueError("module(X) is not finite at the start, expected finite outputs for every row of X and X_query")
        for row in sorted({0, len(both) // 2, len(both) - 1}):
            self._require_same(module, found[row], self._called(module, both[row : row + 1])[0], row, both)
        one = found.ndim == 1 or found.shape[1] == 1
        flat = found[:, 0] if found.ndim == 2 and one else found
        self._require_losses(flat[: len(self.X)])
        if self.output is not None:
            answers = self.output(flat[len(self.X) :])
            if not isinstance(answers, torch.Tensor) or answers.shape != (len(self.X_query),):
                shown = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers).__name__
                raise TypeError(f"output(outputs) is {shown}, expected ({len(self.X_query)},): one number per row of X_query")
        return None if one else int(found.shape[1])

    def _require_parameters(self, module: Any) -> None:
        """Raise TypeError unless there are parameters, and all of them are real numbers."""
        parameters = dict(module.named_parameters())
        wrong = {name: p.dtype for name, p in parameters.items() if p.dtype != torch.float64}
        if wrong or not any(p.requires_grad for p in parameters.values()):
            shown = ", ".join(f"{name} of {dtype}" for name, dtype in wrong.items()) or "no parameter that requires a gradient"
            raise TypeError(f"the module has {shown}, expected floating-point parameters: make constants buffers")

    def _require_same_start(self, module: Any) -> None:
        """Raise ValueError if the module that is built again for the same seed has another state."""
        again = self.built(0).state_dict()
        for name, value in module.state_dict().items():
            if not torch.equal(value, again[name]):
                raise ValueError(
                    f"{name} differs between two modules that are built for seed 0, expected the same: draw it with torch's "
                    "global generator, which the seed sets"
                )

    def _called(self, module: Any, X: Any) -> Any:
        """Return module(X); raise if it draws numbers, changes its buffers or the data, or fails."""
        for name, part in module.named_modules():
            if isinstance(part, torch.nn.modules.dropout._DropoutNd) and part.training and part.p > 0.0:
                raise ValueError(
                    f"{name or 'module'} is {type(part).__name__}(p={part.p}) in training mode, expected none: rows would be "
                    "trained with random numbers that no seed sets; take p=0, or module.eval()"
                )
        state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        given, copies = X.clone(), {name: value.detach().clone() for name, value in state.items()}
        generator = torch.default_generator.get_state()
        try:
            found = functional_call(module, copies, (given,))
        except Exception as error:  # a module can raise anything
            batch = _sees_rows(module)
            hint = f" ({batch} needs several rows: rows must not see each other)" if batch else ""
            raise TypeError(
                f"module(X) raised {type(error).__name__} for X of shape {tuple(X.shape)} and {X.dtype}{hint}: {error}; expected "
                "a module of rows (n, d), for any n. X of whole numbers is given as int64: pass X.astype(float) for float64"
            ) from error
        drawn = not torch.equal(generator, torch.default_generator.get_state())
        torch.default_generator.set_state(generator)
        for name, value in state.items():
            if not torch.equal(copies[name], value):
                raise ValueError(
                    f"{name} changes when the module is called, expected none to change: weight 0 would not be deletion; take "
                    "track_running_stats=False, LayerNorm or GroupNorm, or module.eval()"
                )
        if not torch.equal(given, X):
            raise ValueError("module(X) changes X in place, expected it unchanged: write x = x + 1, not x += 1")
        again = None if drawn else functional_call(module, copies, (given,))
        if drawn or not _equal(found, again):
            raise ValueError(
                "module(X) draws random numbers or has a hidden state: two calls differ, expected the same outputs: leave it out"
            )
        return found

    def _require_same(self, module: Any, among: Any, alone: Any, row: int, both: Any) -> None:
        """Raise ValueError if the outputs of a row alone are not those among all rows."""
        scale = _ROUNDING * max(1.0, float(among.abs().max()))
        if among.shape != alone.shape or float((among - alone).abs().max()) > scale:
            which = _sees_rows(module) or "the module"
            raise ValueError(
                f"the output of row {row} of X is another one alone than among {len(both)} rows, expected the same: weight 0 "
                f"would not be deletion, because {which} lets rows see each other; take LayerNorm or GroupNorm instead"
            )

    def _require_losses(self, outputs: Any) -> None:
        """Raise unless the loss is one finite float64 number per row, which depends on this row alone."""
        n = len(self.X)
        given = outputs.clone()
        labels = self.y.clone()
        try:
            losses = self.loss(given, labels)
        except Exception as error:  # a loss can raise anything
            raise TypeError(
                f"loss(outputs, y) raised {type(error).__name__} for outputs {tuple(outputs.shape)} and y {tuple(labels.shape)} "
                f"of {labels.dtype}: {error}; expected one number per row. y of whole numbers is given as int64"
            ) from error
        if not isinstance(losses, torch.Tensor) or losses.shape != (n,):
            shape = tuple(losses.shape) if isinstance(losses, torch.Tensor) else type(losses).__name__
            hint = (
                ': take reduction="none", not a mean or a sum over rows'
                if shape == ()
                else ": sum over the outputs of a row"
                if isinstance(shape, tuple) and shape[:1] == (n,)
                else ""
            )
            raise TypeError(f"loss(outputs, y) is {shape} for {n} rows, expected ({n},): one number per row{hint}")
        if losses.dtype != torch.float64:
            raise TypeError(f"loss(outputs, y) is {losses.dtype}, expected float64: set no dtype inside the loss")
        if not torch.equal(given, outputs) or not torch.equal(labels, self.y):
            raise ValueError(
                "loss(outputs, y) changes outputs or y in place, expected them unchanged: write f = f + 1, not f += 1"
            )
        if not torch.isfinite(losses).all():
            row = int((~torch.isfinite(losses)).nonzero()[0, 0])
            raise ValueError(f"the loss of row {row} is {float(losses[row])} at the start, expected finite losses at every row")
        for row in sorted({0, n // 2, n - 1}):
            alone = self.loss(outputs[row : row + 1].clone(), self.y[row : row + 1].clone())
            if alone.shape != (1,) or float((alone[0] - losses[row]).abs()) > _ROUNDING * max(1.0, float(losses[row].abs())):
                raise ValueError(
                    f"the loss of row {row} is another one alone than among {n} rows, expected the same: weight 0 would not be "
                    "deletion; divide by no statistic of the batch"
                )


def _sees_rows(module: Any) -> str | None:
    """Return the first part of the module that is known to mix rows."""
    for name, part in module.named_modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm) and (part.training or not part.track_running_stats):
            return f"{name or 'module'} = {type(part).__name__}"
    return None


def _equal(found: Any, again: Any) -> bool:
    if not isinstance(found, torch.Tensor) or not isinstance(again, torch.Tensor):
        return type(found) is type(again)
    return torch.equal(found.nan_to_num(), again.nan_to_num())

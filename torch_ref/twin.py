"""Twins: a numpy_nn network, loss or optimizer as its PyTorch counterpart, and a PyTorch network as numpy_nn's.

A linear weight is (in, out) in numpy_nn and (out, in) in torch: every conversion transposes it. All other parameters
lie alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import numpy_nn as nn
from torch_ref.models import perceptron_loss
from torch_ref.own_layers import OwnLayer, has_own_forward

Device = str | torch.device | None

# Above its threshold torch's Softplus drops log1p(exp(-x)), which is below half a unit in float32's last place at 20,
# but in float64's only at 40.
SOFTPLUS_THRESHOLD = 40.0

# numpy_nn's layer, torch's, and the constructor arguments that both have and spell alike.
COUNTERPARTS: tuple[tuple[type[nn.Layer], type[torch.nn.Module], tuple[str, ...]], ...] = (
    (nn.Linear, torch.nn.Linear, ("in_features", "out_features")),
    (nn.BatchNorm1d, torch.nn.BatchNorm1d, ("num_features", "eps", "momentum")),
    (nn.LayerNorm, torch.nn.LayerNorm, ("normalized_shape", "eps", "elementwise_affine")),
    (nn.Dropout, torch.nn.Dropout, ("p",)),
    (nn.Flatten, torch.nn.Flatten, ()),
    (nn.Identity, torch.nn.Identity, ()),
    (nn.Sigmoid, torch.nn.Sigmoid, ()),
    (nn.Tanh, torch.nn.Tanh, ()),
    (nn.ReLU, torch.nn.ReLU, ()),
    (nn.LeakyReLU, torch.nn.LeakyReLU, ("negative_slope",)),
    (nn.PReLU, torch.nn.PReLU, ("num_parameters",)),
    (nn.ELU, torch.nn.ELU, ("alpha",)),
    (nn.SELU, torch.nn.SELU, ()),
    (nn.GELU, torch.nn.GELU, ("approximate",)),
    (nn.SiLU, torch.nn.SiLU, ()),
    (nn.Softplus, torch.nn.Softplus, ("beta",)),
    (nn.Hardtanh, torch.nn.Hardtanh, ("min_val", "max_val")),
    (nn.ReLU6, torch.nn.ReLU6, ()),
    (nn.Hardsigmoid, torch.nn.Hardsigmoid, ()),
    (nn.Hardswish, torch.nn.Hardswish, ()),
    (nn.Mish, torch.nn.Mish, ()),
    (nn.Softsign, torch.nn.Softsign, ()),
    (nn.LogSigmoid, torch.nn.LogSigmoid, ()),
    (nn.Softmax, torch.nn.Softmax, ("dim",)),
    (nn.LogSoftmax, torch.nn.LogSoftmax, ("dim",)),
)
TO_TORCH = {ours: (theirs, names) for ours, theirs, names in COUNTERPARTS}
FROM_TORCH = {theirs: (ours, names) for ours, theirs, names in COUNTERPARTS}


def is_own(layer: nn.Layer) -> bool:
    """Whether it is a layer of the reader's own, for which there is no counterpart but its own forward."""
    return type(layer) not in TO_TORCH and has_own_forward(layer)


def to_torch(net: nn.Layer, device: Device = None) -> Any:
    """The torch twin of a Sequential or layer, with the same weights, dtype and modes, on ``device``.

    Returns a ``torch.nn.Sequential`` for a Sequential, else the module of the layer: of one of your own the module that
    runs its forward on tensors, with twins of the layers that it holds (:mod:`torch_ref.own_layers`). TypeError, naming
    it, for a layer without a counterpart.
    """
    return _to_torch(net, device, {})


def _to_torch(net: nn.Layer, device: Device, held: dict[int, Any]) -> Any:
    """``held`` has what was made of layers and parameters so far, by their ids, since own layers may share them."""
    if is_own(net):
        return OwnLayer(net, held, lambda layer: _to_torch(layer, device, held), device)
    if isinstance(net, nn.Sequential):
        module: torch.nn.Module = torch.nn.Sequential(*(_to_torch(layer, device, held) for layer in net))
        module.training = net.training  # not train(), which would set the layers' own modes too
        return module
    if type(net) not in TO_TORCH:
        raise TypeError(f"{net.label}: {type(net).__name__} has no counterpart in torch.nn that torch_ref knows")
    counterpart, names = TO_TORCH[type(net)]
    options = getattr(net, "options", {})
    arguments: dict[str, Any] = {name: options[name] if name in options else getattr(net, name) for name in names}
    dtype = next((torch.from_numpy(p.data).dtype for p in net.parameters()), None)
    if isinstance(net, nn.Linear):
        arguments |= {"bias": net.bias is not None, "dtype": dtype, "device": device}
    elif isinstance(net, nn.PReLU):
        arguments |= {"dtype": dtype, "device": device}
    elif isinstance(net, nn.BatchNorm1d):
        arguments |= {
            "affine": net.weight is not None,
            "track_running_stats": net.running_mean is not None,
            "dtype": torch.from_numpy(np.empty(0, net.dtype)).dtype,
            "device": device,
        }
    elif isinstance(net, nn.LayerNorm):
        arguments |= {"bias": net.bias is not None, "dtype": dtype, "device": device}
    elif isinstance(net, nn.Softplus):
        arguments |= {"threshold": SOFTPLUS_THRESHOLD}
    module = counterpart(**arguments)
    arrays = (*_data(net), *net.named_buffers())
    module.load_state_dict({name: torch.tensor(turned(net, array)) for name, array in arrays})
    return module.train(net.training)


def from_torch(module: torch.nn.Module) -> Any:
    """The numpy_nn twin of a ``torch.nn.Sequential`` or a single module, with the same weights, dtype and modes.

    TypeError, naming it, for a module without a counterpart or with weights that are not float32 or float64;
    ValueError for one whose settings numpy_nn does not have, and for a module or parameter that occurs twice.
    """
    _refuse_shared(module)
    return _from_torch(module, "module")


def _from_torch(module: torch.nn.Module, name: str) -> Any:
    if type(module) is torch.nn.Sequential:
        net = nn.Sequential(*(_from_torch(child, f"{name}[{key}]") for key, child in module.named_children()))
        net.training = module.training
        return net
    if type(module) not in FROM_TORCH:
        raise TypeError(f"{name}: {type(module).__name__} has no counterpart in numpy_nn")
    counterpart, names = FROM_TORCH[type(module)]
    _refuse_settings(module, name)
    tensors = {key: tensor.detach().cpu() for key, tensor in module.state_dict().items()}
    arguments: dict[str, Any] = {key: getattr(module, key) for key in names}
    floating = {tensor.dtype for tensor in tensors.values() if tensor.dtype.is_floating_point}
    for dtype in floating:
        if dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name}: expected weights of float32 or float64, got {dtype}")
        arguments["dtype"] = np.float32 if dtype is torch.float32 else np.float64
    if isinstance(module, (torch.nn.Linear, torch.nn.LayerNorm)):
        arguments["bias"] = module.bias is not None
    elif isinstance(module, torch.nn.BatchNorm1d):
        arguments |= {"affine": module.affine, "track_running_stats": module.track_running_stats}
    try:
        layer = counterpart(**arguments)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}, {module}: {error}") from None
    for key, array in (*_data(layer), *layer.named_buffers()):
        array[...] = turned(layer, tensors[key].numpy())
    return layer.train(module.training)


def turned(layer: nn.Layer | torch.nn.Module, array: NDArray[Any]) -> NDArray[Any]:
    """An array of one engine's layer in the other's layout: transposed for a linear layer, else as it is."""
    return array.T if isinstance(layer, (nn.Linear, torch.nn.Linear)) else array


def owner(net: Any, name: str) -> Any:
    """The layer of a network, of either engine, that has the parameter of that name, such as "0.weight"."""
    modules, path = dict(net.named_modules()), name.rpartition(".")[0]
    while path not in modules:  # of a parameter in a list, "3.scales.0"
        path = path.rpartition(".")[0]
    return modules[path]


def _data(layer: nn.Layer) -> list[tuple[str, NDArray[Any]]]:
    return [(name, p.data) for name, p in layer.named_parameters()]


def _refuse_settings(module: torch.nn.Module, name: str) -> None:
    if isinstance(module, torch.nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
        raise ValueError(f"{name}: expected Flatten(start_dim=1, end_dim=-1), got {module}")
    if isinstance(module, torch.nn.BatchNorm1d) and (module.weight is None) != (module.bias is None):
        raise ValueError(f"{name}: expected both weight and bias, or neither (affine=False), got {module}")
    if isinstance(module, torch.nn.Softplus) and module.threshold < 20.0:
        raise ValueError(f"{name}: numpy_nn's Softplus has no threshold; expected at least 20, got {module.threshold}")


def _refuse_shared(module: torch.nn.Module) -> None:
    for kind, found in (
        ("module", module.named_modules(remove_duplicate=False)),
        ("parameter", module.named_parameters(remove_duplicate=False)),
    ):
        seen: dict[int, str] = {}
        for name, thing in found:
            if id(thing) in seen:
                raise ValueError(f"{kind} {seen[id(thing)]} occurs again as {name}; numpy_nn shares no weights")
            seen[id(thing)] = name


def parameters_as_numpy(module: torch.nn.Module) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and value of every parameter of a twin, in numpy_nn's layout; the arrays are copies."""
    for name, p in module.named_parameters():
        yield name, np.array(turned(owner(module, name), p.detach().cpu().numpy()), order="C")


# numpy_nn's loss, torch's, and the constructor arguments beside the reduction, which both have and spell alike.
LOSSES: dict[type[nn.Loss], tuple[Any, tuple[str, ...]]] = {
    nn.MSELoss: (torch.nn.MSELoss, ()),
    nn.L1Loss: (torch.nn.L1Loss, ()),
    nn.HuberLoss: (torch.nn.HuberLoss, ("delta",)),
    nn.CrossEntropyLoss: (torch.nn.CrossEntropyLoss, ("weight", "ignore_index", "label_smoothing")),
    nn.NLLLoss: (torch.nn.NLLLoss, ("weight", "ignore_index")),
    nn.BCEWithLogitsLoss: (torch.nn.BCEWithLogitsLoss, ("weight", "pos_weight")),
}


def loss_to_torch(loss: nn.Loss, device: Device = None) -> Callable[[Tensor, Tensor], Tensor]:
    """The torch counterpart of a loss, its weights on ``device``; TypeError, naming it, for a loss without one."""
    reduction = loss.reduction
    if type(loss) in LOSSES:
        counterpart, names = LOSSES[type(loss)]
        settings = {name: getattr(loss, name) for name in names}
        for name, value in settings.items():
            if isinstance(value, np.ndarray):
                settings[name] = torch.tensor(value, device=device)
        made: Callable[[Tensor, Tensor], Tensor] = counterpart(**settings, reduction=reduction)
        return made
    if type(loss) is nn.PerceptronLoss:
        reduce: dict[str, Callable[[Tensor], Tensor]] = {"mean": torch.mean, "sum": torch.sum, "none": torch.clone}
        return lambda f, y: reduce[reduction](perceptron_loss(f, y))
    raise TypeError(f"loss: {type(loss).__name__} has no counterpart in torch.nn that torch_ref knows")


OPTIMIZERS: dict[type[nn.Optimizer], Any] = {
    nn.SGD: torch.optim.SGD,
    nn.Adam: torch.optim.Adam,
    nn.AdamW: torch.optim.AdamW,
    nn.RMSprop: torch.optim.RMSprop,
}

# The settings that both engines spell alike, besides "lr", "weight_decay" and "maximize".
SETTINGS: dict[type[nn.Optimizer], tuple[str, ...]] = {
    nn.SGD: ("momentum", "dampening", "nesterov"),
    nn.Adam: ("betas", "eps", "amsgrad"),
    nn.AdamW: ("betas", "eps", "amsgrad"),
    nn.RMSprop: ("alpha", "eps", "momentum", "centered"),
}


def optimizer_settings(optimizer: nn.Optimizer, group: int = 0) -> dict[str, Any]:
    """The keyword arguments, alike in both engines, that make one of a group's settings; TypeError if unknown."""
    if type(optimizer) not in OPTIMIZERS:
        raise TypeError(f"optimizer: {type(optimizer).__name__} has no counterpart in torch.optim that torch_ref knows")
    names = ("lr", "weight_decay", "maximize", *SETTINGS[type(optimizer)])
    return {name: optimizer.param_groups[group][name] for name in names}


def groups_of(optimizer: nn.Optimizer, net: nn.Layer) -> list[int]:
    """The number of the optimizer's group of each parameter of ``net``; ValueError for one that is in none."""
    holders = [group["params"] for group in optimizer.param_groups]
    found = {id(p): index for index, params in enumerate(holders) for h in params for p in h.members()}
    names = dict(net.named_parameters())
    if lost := [name for name, p in names.items() if id(p) not in found]:
        raise ValueError(f"optimizer: expected all parameters of the network, got none of {', '.join(lost)}")
    return [found[id(p)] for p in names.values()]


def optimizer_to_torch(
    optimizer: nn.Optimizer,
    module: torch.nn.Module,
    *,
    net: nn.Layer | None = None,
    fused: bool = False,
    tensor_lr: bool = False,
) -> torch.optim.Optimizer:
    """A fresh torch optimizer of the same kind and settings for the parameters of ``module``; TypeError if unknown.

    An optimizer with several groups asks for ``net``, the network that it was made for and that ``module`` is the twin
    of: a ValueError without.

    ``fused`` updates all parameters in one kernel. On CUDA, Adam's count of steps is then kept on the device, so that
    a CUDA graph can hold the step. ``tensor_lr`` keeps the learning rate there too, in a tensor of no dimension to
    which torch's schedules write, so that each replay of the graph reads the rate of its step. It is of float32, the
    only type that the fused kernels read. ValueError for it without ``fused``: torch's other SGD asks the device for
    the number, which cannot be captured; and for ``fused`` with RMSprop, of which torch has no such kernel.
    """
    if tensor_lr and not fused:
        raise ValueError("tensor_lr: only fused kernels read it from the device, expected fused=True")
    settings = optimizer_settings(optimizer)
    if len(optimizer.param_groups) > 1 and net is None:
        raise ValueError("optimizer: expected net= with it, the network that its groups are parts of")
    if fused and isinstance(optimizer, nn.RMSprop):
        raise ValueError("fused: torch has no fused RMSprop")
    if fused:
        settings["fused"] = True
        if isinstance(optimizer, nn.Adam):
            settings["capturable"] = all(p.is_cuda for p in module.parameters())
    if tensor_lr:
        settings["lr"] = torch.tensor(optimizer.lr, dtype=torch.float32, device=next(module.parameters()).device)
    parameters: Any = module.parameters()
    if net is not None and len(optimizer.param_groups) > 1:
        if tensor_lr:
            raise ValueError("tensor_lr: expected an optimizer with one group, got several")
        parameters = [{"params": []} | optimizer_settings(optimizer, i) for i in range(len(optimizer.param_groups))]
        theirs = dict(module.named_parameters())
        for index, (name, _) in zip(groups_of(optimizer, net), net.named_parameters(), strict=True):
            parameters[index]["params"].append(theirs[name])
    made: torch.optim.Optimizer = OPTIMIZERS[type(optimizer)](parameters, **settings)
    return made

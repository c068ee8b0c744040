"""Going on with a training run in torch: all that its next step depends on, as numpy_nn.training.resume has it."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from numpy_nn._support.checkpoint import check_zip


class TrainingState:
    """The state of a run, taken between two epochs.

    It holds references to what the run is made of, and reads or changes these in place: parameters, buffers, optimizer
    and schedule; the averaged weights; torch's own generators, from which dropout draws, of the CPU and of the model's
    device; and further generators, of NumPy or of torch, under a name each in ``rngs``.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        optimizer: torch.optim.Optimizer,
        *,
        schedule: torch.optim.lr_scheduler.LRScheduler | None = None,
        average: torch.nn.Module | None = None,
        rngs: Mapping[str, np.random.Generator | torch.Generator] | None = None,
    ) -> None:
        parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "average": average}
        self._parts: dict[str, Any] = {name: part for name, part in parts.items() if part is not None}
        self._rngs = dict(rngs or {}) | {"torch": torch.default_generator}
        device = next(model.parameters()).device
        if device.type == "cuda":
            index = torch.cuda.current_device() if device.index is None else device.index
            self._rngs["cuda"] = torch.cuda.default_generators[index]

    def to_bytes(self) -> bytes:
        """Everything, as ``torch.save`` writes it: tensors and plain values."""
        state: dict[str, Any] = {name: part.state_dict() for name, part in self._parts.items()}
        state["kinds"] = self._kinds()
        state["rng"] = {name: _generator_state(rng) for name, rng in self._rngs.items()}
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.getvalue()

    def load_bytes(self, content: bytes) -> None:
        """Put everything back as :meth:`to_bytes` found it, on whichever device the model is now.

        The content is read with ``weights_only=True``, which runs no code from it. ValueError if it is damaged, with
        nothing changed, or that of another run. A generator of torch stays as it is if the state is that of another
        kind of device.
        """
        file = io.BytesIO(content)
        try:
            check_zip(file)  # torch.load does not look at the checksums that torch.save writes
            state = torch.load(file, map_location="cpu", weights_only=True)
            if state["kinds"] != self._kinds():
                raise ValueError(f"expected {self._kinds()}, got {state['kinds']}")
            for name, part in self._parts.items():
                load = _load_in_place if isinstance(part, torch.optim.Optimizer) else type(part).load_state_dict
                load(part, state[name])
            for name, rng in self._rngs.items():
                if name != "cuda" or name in state["rng"]:
                    _set_generator(rng, state["rng"][name])
        except (ValueError, RuntimeError, pickle.UnpicklingError, AttributeError, LookupError, TypeError) as error:
            raise ValueError(f"not a state of this run: {' '.join(str(error).split())}") from None

    def _kinds(self) -> dict[str, str]:
        """The class of each part; an optimizer would take the state of another one without a word."""
        return {name: type(part).__name__ for name, part in self._parts.items()}


def _load_in_place(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """``optimizer.load_state_dict``, which would put other tensors in the place of those that a captured step uses."""
    rates = [group["lr"] for group in optimizer.param_groups]
    held = {p: dict(tensors) for p, tensors in optimizer.state.items()}
    optimizer.load_state_dict(state)
    for group, lr in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = lr.fill_(group["lr"]) if isinstance(lr, torch.Tensor) else float(group["lr"])
    for p, tensors in held.items():
        loaded = optimizer.state[p]
        for name, tensor in tensors.items():
            if isinstance(tensor, torch.Tensor):
                # What a run that took no step yet has not, begins at 0.
                loaded[name] = tensor.copy_(loaded[name]) if name in loaded else tensor.zero_()


def _generator_state(rng: np.random.Generator | torch.Generator) -> Any:
    """The state as plain values: a tensor for torch's generator, a dict for NumPy's."""
    return rng.get_state() if isinstance(rng, torch.Generator) else rng.bit_generator.state


def _set_generator(rng: np.random.Generator | torch.Generator, state: Any) -> None:
    if isinstance(rng, torch.Generator):
        # Their lengths differ: thousands of bytes on a CPU, sixteen on CUDA.
        if state.numel() == rng.get_state().numel():
            rng.set_state(state)
    else:
        rng.bit_generator.state = state

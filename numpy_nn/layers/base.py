"""The layer contract: what a layer is, what is checked around its formulas, and what belongs to whom.

A layer is two formulas. ``forward(x)`` returns the output; ``backward(grad_output)``, given dL/d(output), returns
dL/dx and writes the gradients of the layer's own parameters into their ``grad``. The first axis of every array is the
batch. A layer of your own is a class with these two::

    class Scale(nn.Layer):
        def __init__(self, features):
            self.weight = nn.Parameter(np.ones(features))

        def forward(self, x):
            return x * self.weight.data

        def backward(self, grad_output):
            x = self.saved  # the input of the last forward call
            self.weight.grad = (grad_output * x).sum(axis=0)
            return grad_output * self.weight.data

For every layer it holds that

- a backward call belongs to the last forward call; before any it is refused, and so is a gradient that has not the
  shape and the dtype of the output;
- a gradient overwrites the one before, it is not added to it: a layer that is applied twice in one forward pass would
  have the gradient of its second use alone;
- what a call returns is the caller's, to keep and to change. What it is given stays the caller's as well and is never
  written to, but must stay as it is until the backward call, which reads it again;
- within a network the arrays are the layers' and are used again in the next pass: a layer that keeps an input, or a
  Dropout's ``mask``, beyond it keeps a copy. A parameter's array is ``p.data``, asked for when it is needed: a network
  moves it.
"""

from __future__ import annotations

import functools
import inspect
from abc import ABCMeta
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from numpy_nn._support.checks import count
from numpy_nn._support.workspace import FloatArray
from numpy_nn.layers.composition import Composition
from numpy_nn.parameter import structure

# What is put between the checks of the contract.
FORMULAS = ("forward", "backward", "backward_parameters")


class LayerType(ABCMeta):
    """The type of all classes of layers: it sees a formula that a class is given, or loses, after it was defined.

    ABCMeta's, so that a class of layers may be abstract.
    """

    def __setattr__(cls, name: str, value: Any) -> None:
        cls._refuse_the_base_class(name)
        super().__setattr__(name, value)
        structure.formulas += 1
        if name in FORMULAS:
            put_between_checks(cls)

    def __delattr__(cls, name: str) -> None:
        cls._refuse_the_base_class(name)
        super().__delattr__(name)
        structure.formulas += 1
        if name in FORMULAS:
            for private in vars(cls).keys() & {f"_{formula}" for formula in FORMULAS}:
                super().__delattr__(private)
            put_between_checks(cls)

    def _refuse_the_base_class(cls, name: str) -> None:
        if name in FORMULAS and cls is Layer:
            raise TypeError(f"Layer.{name}: it is every layer's; set it in a class of your own")


class Layer(Composition, metaclass=LayerType):
    """The base class: what a layer of your own inherits.

    Override :meth:`forward` and :meth:`backward`. ``saved`` is what backward finds of the forward call: the input,
    unless forward keeps something else there. When such a class is defined, or is given another formula later, its
    formulas are put between the checks of the contract; ``super().forward(x)`` inside one is the parent's formula,
    without them. Parameters, and layers within the layer, are found by themselves (:class:`Composition`).
    """

    saved: Any = None
    # Shape and dtype of what the last forward call returned.
    _output: tuple[tuple[int, ...], np.dtype[Any]] | None = None
    _in_backward = False

    def __init__(self) -> None:
        # Nothing: a layer of your own may leave super().__init__() out.
        pass

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        put_between_checks(cls)

    # Of two abstract formulas, Python would refuse to make a layer that lacks one. That is too early, as in
    # torch.nn.Module, whose forward is not abstract either: a class may get its formula after it is defined, from a
    # reader who writes it cell by cell, and a layer that only predicts has no backward. So a formula that is missing is
    # named when it is asked for.
    def forward(self, x: FloatArray) -> FloatArray:
        """The output for the batch ``x``. NotImplementedError in a class that gives no formula."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, grad_output: FloatArray) -> FloatArray:
        """dL/dx from dL/d(output) of the last forward call; writes the parameters' ``grad``.

        ValueError before any forward call, or for a gradient that has not the output's shape; TypeError for another
        dtype than the output's. NotImplementedError in a class that gives no formula.
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def backward_parameters(self, grad_output: FloatArray) -> None:
        """The part of :meth:`backward` that writes the parameters' ``grad``.

        A network calls it on its first layer while training, where nobody asks for the gradient of the data. Of a
        class that does not define it beside its backward, it calls the whole of backward.
        """
        self._backward(grad_output)

    def check_input(self, x: FloatArray) -> FloatArray:
        """``x`` as :meth:`forward` gets it: here any array with at least one row. ValueError or TypeError otherwise."""
        x = np.asarray(x)
        if x.ndim == 0 or x.shape[0] == 0:
            raise ValueError(f"{self.label}: expected a batch of at least one row, got shape {x.shape}")
        return x

    def __call__(self, x: FloatArray) -> FloatArray:
        return self.forward(x)

    def predict(self, x: FloatArray, batch_size: int = 1024) -> FloatArray:
        """The output for ``x`` in evaluation mode, ``batch_size`` rows at a time.

        The modes are put back afterwards; a backward call then needs a new forward call. Several threads may call it
        at once, on a network that none of them trains.
        """
        batch_size = count(batch_size, "batch_size")
        x = self.check_input(x)
        with self.evaluating():
            return np.concatenate(
                [np.array(self._forward(x[start : start + batch_size])) for start in range(0, len(x), batch_size)]
            )

    # What a network calls on its layers: with the checks, but without the copy for the caller.
    def _forward(self, x: FloatArray) -> FloatArray:
        return self.forward(x)

    def _backward(self, grad_output: FloatArray) -> FloatArray:
        return self.backward(grad_output)

    def _backward_parameters(self, grad_output: FloatArray) -> None:
        self._backward(grad_output)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "saved":  # at every forward call
            self.__dict__[name] = value
            return
        super().__setattr__(name, value)
        if name in FORMULAS:  # a function that is put in the place of a formula of this one layer
            super().__setattr__(f"_{name}", value)
            if name == "backward" and "backward_parameters" not in vars(self):
                super().__setattr__("_backward_parameters", value)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        if name in FORMULAS:
            super().__delattr__(f"_{name}")
            if name == "backward" and "backward_parameters" not in vars(self):
                super().__delattr__("_backward_parameters")

    def leaves(self) -> list[Layer]:
        """The layers in the order of their application, with those of inner networks in their place."""
        return [self]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one output row for one input row (both without the batch)."""
        return input_shape

    def extra_repr(self) -> str:
        """The arguments, as ``repr`` shows them."""
        return ""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"

    @property
    def label(self) -> str:
        """How error messages call the layer."""
        return f"layer {self.name}, {self._short()}" if self.name else self._short()

    def _short(self) -> str:
        return repr(self)


Formula = Callable[[Any, FloatArray], Any]


def _checked_forward(formula: Formula) -> tuple[Formula, Formula]:
    """The formula between its checks, and the same whose result is the caller's own."""

    @functools.wraps(formula)
    def checked(self: Layer, x: FloatArray) -> FloatArray:
        state = self.__dict__
        try:
            state["saved"] = x = self.check_input(x)
            output = formula(self, x)
        except BaseException:
            state["_output"] = None  # a forward call that fails leaves nothing for a backward call
            raise
        if type(output) is not np.ndarray:
            output = np.asarray(output)
        state["_output"] = output.shape, output.dtype
        return output

    @functools.wraps(formula)
    def forward(self: Layer, x: FloatArray) -> FloatArray:
        # Called on the layer, or by super() within a formula that was checked already.
        outermost = type(self)._forward is checked
        return np.array(checked(self, x) if outermost else formula(self, x))

    return checked, forward


def _checked_backward(formula: Formula) -> tuple[Formula, Formula]:
    """The same for backward."""

    @functools.wraps(formula)
    def checked(self: Layer, grad_output: FloatArray) -> FloatArray:
        grad_output, state = check_grad_output(self, grad_output), self.__dict__
        state["_in_backward"] = True
        try:
            grad_input = formula(self, grad_output)
        finally:
            state["_in_backward"] = False
        if grad_input is None:
            raise TypeError(f"{self.label}: backward returned None; expected dL/dx, an array of its input's shape")
        return np.asarray(grad_input)

    @functools.wraps(formula)
    def backward(self: Layer, grad_output: FloatArray) -> FloatArray:
        outermost = type(self)._backward is checked
        return np.array(checked(self, grad_output) if outermost else formula(self, grad_output))

    return checked, backward


def _checked_backward_parameters(formula: Formula) -> tuple[Formula, Formula]:
    """The same for what returns nothing."""

    @functools.wraps(formula)
    def checked(self: Layer, grad_output: FloatArray) -> None:
        grad_output, state = check_grad_output(self, grad_output), self.__dict__
        before, state["_in_backward"] = self._in_backward, True
        try:
            formula(self, grad_output)
        finally:
            state["_in_backward"] = before

    @functools.wraps(formula)
    def backward_parameters(self: Layer, grad_output: FloatArray) -> None:
        # A formula of the class's own may call this part of its parent's; others mean all that it writes.
        (checked if self._in_backward else type(self)._backward_parameters)(self, grad_output)

    return checked, backward_parameters


def check_grad_output(layer: Layer, grad_output: FloatArray) -> FloatArray:
    """``grad_output`` as an array of the shape and dtype of the layer's last output."""
    if layer._output is None:
        raise ValueError(f"{layer.label}: backward needs a forward call before it")
    shape, dtype = layer._output
    grad_output = np.asarray(grad_output)
    if grad_output.shape != shape:
        raise ValueError(f"{layer.label}: expected grad_output of shape {shape}, got {grad_output.shape}")
    if grad_output.dtype != dtype:
        raise TypeError(f"{layer.label}: expected {dtype} grad_output, got {grad_output.dtype}")
    return grad_output


CHECKED = dict(zip(FORMULAS, (_checked_forward, _checked_backward, _checked_backward_parameters), strict=True))
# By what everybody calls: what a network calls, and the backward that the class had when this formula came.
IN_A_NETWORK: WeakKeyDictionary[Any, tuple[Formula, Formula | None]] = WeakKeyDictionary()


def put_between_checks(cls: type) -> None:
    """Give the class each formula that is its own, or a mixin's, as a network calls it and as everybody else does."""
    own = vars(cls)
    for name, checks in CHECKED.items():
        formula = inspect.getattr_static(cls, name)  # of the class itself, of a parent, or of a mixin
        if formula is vars(Layer)[name]:
            continue
        if formula not in IN_A_NETWORK:
            checked, public = checks(formula)
            IN_A_NETWORK[public] = checked, own.get("backward")
            type.__setattr__(cls, name, public)
            type.__setattr__(cls, f"_{name}", checked)
        elif name in own:
            type.__setattr__(cls, f"_{name}", IN_A_NETWORK[formula][0])
    if "backward" in own:
        part = own.get("backward_parameters")
        if part not in IN_A_NETWORK or IN_A_NETWORK[part][1] is not own["backward"]:
            # It need not be a part of this backward, which came later: a network calls the whole of it.
            type.__setattr__(cls, "_backward_parameters", vars(Layer)["_backward_parameters"])

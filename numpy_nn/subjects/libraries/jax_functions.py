"""JAX's functions as Subjects: plain ones, those with rules of their own, and pairs (fwd, bwd) that would be a rule.

Nothing here imports JAX: whoever hands over a function of JAX has imported it.
"""

from __future__ import annotations

import functools
import inspect
import math
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from numpy_nn.subjects.calls.arguments import named_arguments
from numpy_nn.subjects.names import TARGET, has_passes, role_in_loss
from numpy_nn.subjects.running import Patience
from numpy_nn.subjects.signatures import positional
from numpy_nn.subjects.source.roles import is_data, is_learned_beside
from numpy_nn.subjects.state import inner
from numpy_nn.subjects.subject import Array, ClaimingSubject, SubjectError

# After so many evaluations more are to come: to compile takes as long as some hundreds.
MANY = 400.0


def jax_subject(target: Any, x: Any, targets: Any) -> JaxSubject | None:
    """The subject, if ``target`` is a function of JAX, or a pair of them; ``x`` and ``targets`` as the user gave them.

    A function is one of JAX by its type, by what its code refers to, or by the arrays that it is given. A pair is
    ``fwd(x) -> (out, residuals)`` and ``bwd(residuals, g)``, as for ``defvjp``, or ``f(x)`` and ``vjp(x, g)``. What is
    given as the targets, is not called so, and has a gradient, is one more input.
    """
    jax = sys.modules.get("jax")
    functions = list(target) if isinstance(target, (tuple, list)) else [target]
    if jax is None or len(functions) > 2 or not all(map(callable, functions)):
        return None
    if has_passes(functions[0]) and not _is_of_jax(functions[0]):
        return None
    arguments = x if isinstance(x, tuple) else (np.asarray(x, np.float64) if isinstance(x, (int, float)) else x,)
    if not (any(map(_refers_to_jax, functions)) or any(_is_of_jax(leaf) for leaf in jax.tree_util.tree_leaves(x))):
        return None
    values = named_arguments(functions[0], arguments, targets)
    held = None if targets is None else list(values)[-1]
    if (spec := positional(functions[0])) is not None and values.keys() <= {*spec[0], *spec[1]}:
        values = {name: values[name] for name in spec[0] + spec[1] if name in values}
    function = target if len(functions) == 1 else _with_rule(jax, functions, list(values.values()))
    subject = _of_widest(jax, function, functions[0], values, () if held is None else (held,))
    if held is None or role_in_loss(held) == TARGET:
        return subject
    learned = _of_widest(jax, function, functions[0], values, ())
    claimed = learned.gradients(np.ones(learned.output().shape))
    return learned if any(np.any(claimed[name]) for name in claimed.keys() - subject.arrays.keys()) else subject


def _of_widest(
    jax: Any, function: Callable[..., Any], named: Any, values: Mapping[str, Any], held: Sequence[str]
) -> JaxSubject:
    """The subject in the widest precision, with the numbers among its arguments where the function takes these."""
    tree_map = jax.tree_util.tree_map
    arrays = {n: tree_map(lambda x: np.asarray(x) if type(x) is float else x, value) for n, value in values.items()}
    try:
        subject = _in_widest(jax, function, named, arrays, held)
        subject.leave_settings([name for name, leaf in _leaves(jax, values) if type(leaf) is float])
    except SubjectError:
        subject = _in_widest(jax, function, named, values, held)
    subject.leave_loops_to_python()
    return subject


def _in_widest(
    jax: Any, function: Callable[..., Any], named: Any, values: Mapping[str, Any], held: Sequence[str]
) -> JaxSubject:
    """The subject in float64 where the function takes that, else in its own precision."""
    if not jax.config.jax_enable_x64:
        wide = JaxSubject(jax, function, named, values, held, True)
        try:
            _try_out(wide)
        except SubjectError as error:
            subject = JaxSubject(jax, function, named, values, held, False)
            _try_out(subject)
            subject.notes.append(f"computed in float32, as {subject.label} does not take float64 ({error.reason})")
            return subject
        wide.notes.append(f"computed in float64 (jax.enable_x64), which {wide.label} takes, and not in float32")
        return wide
    return JaxSubject(jax, function, named, values, held, False)


class JaxSubject(ClaimingSubject):
    """``function`` of ``values`` by the names of its arguments, each an array or a tree of them.

    Arrays of floats are differentiated but for those in ``held``; the claimed gradients are what ``jax.vjp`` gives, by
    the function's own rule if it has one. With ``wide`` all is computed in float64.
    """

    def __init__(
        self,
        jax: Any,
        function: Callable[..., Any],
        named: Any,
        values: Mapping[str, Any],
        held: Sequence[str],
        wide: bool,
    ) -> None:
        self._jax, self._function, self._wide, self._has_loops = jax, function, wide, False
        self._run_floats, self._run_vjp, self._compiles_after = self._floats, self._vjp, MANY
        self._redraws = False
        self._tree = jax.tree_util.tree_structure(tuple(values.values()))
        self._leaves = dict(_leaves(jax, values))
        arrays: dict[str, Array] = {}
        for shown, leaf in self._leaves.items():
            kind = getattr(leaf, "dtype", None)
            if kind is None or re.split(r"[\[.]", shown)[0] in held:
                continue
            if jax.numpy.issubdtype(kind, np.complexfloating):
                raise TypeError(f"{shown}: expected real numbers, got {kind}")
            if jax.numpy.issubdtype(kind, np.floating):
                arrays[shown] = np.array(leaf, np.float64)
                if not np.isfinite(arrays[shown]).all():
                    raise ValueError(f"{shown}: expected finite numbers, got nan or inf")
        self._named = named
        # What a rule is made of is behind JAX's object: its state, and what it draws from, are found there.
        super().__init__(getattr(named, "__name__", type(named).__name__), [function, *self.own_code()], arrays)
        # layer(params, x): the rows are those of the data.
        self.input = next((name for name in arrays if is_data(name)), self.input)
        if not arrays:
            raise TypeError(f"{self.label}: expected an array of floats among the arguments, got none")
        self._outputs: list[Any] = []

    def leave_settings(self, numbers: Sequence[str]) -> None:
        """Of these, the ones without a gradient are settings, but for a bias beside weights and the like."""
        asked = [name for name in numbers if name in self.arrays]
        claimed = self.gradients(np.ones(self.output().shape)) if asked else {}
        idle = [name for name in asked if not np.any(claimed[name])]
        others = [_last(name) for name in self.arrays if name not in idle]
        for name in idle if others else ():
            if not is_learned_beside(_last(name), others):
                self._leaves[name] = float(self.arrays.pop(name))
                self.unchecked.append((name, "setting", 1))
        self.input = self.input if self.input in self.arrays else next(iter(self.arrays))

    def own_code(self) -> Sequence[Any]:
        rule = [getattr(self._named, part, None) for part in ("fun", "fwd", "bwd", "jvp", "__wrapped__")]
        return [part for part in (self._named, *rule) if inspect.isroutine(part)]

    def complex_output(self, x: NDArray[np.complexfloating[Any]]) -> None:
        """None: a rule of its own is one for real numbers."""

    def _run(self, _: Mapping[str, NDArray[Any]]) -> Sequence[Any]:
        with self._precision():
            self._outputs = self._run_floats(*self._given())
            return [np.asarray(output, np.float64) for output in self._outputs]

    def _claim(self, grad_outputs: Sequence[Array]) -> Mapping[str, Any]:
        jnp = self._jax.numpy
        # A rule runs forward once more: from the same state, and with the same draws.
        if self._home is not None:
            self._return_home(self._home)
        self.restore_generators()
        with self._precision():
            grads = [jnp.asarray(g, output.dtype) for g, output in zip(grad_outputs, self._outputs, strict=True)]
            outputs, claimed = self._run_vjp(self._given(), grads)
            if not all(map(self._is_near, outputs, self._outputs)):
                self.complain("the forward pass of the rule, fwd, returns something else than the function")
            return {n: np.asarray(g, np.float64) for n, g in zip(self.arrays, claimed, strict=True)}

    def gradients(self, grad_output: Array, *, other_draws: bool = False) -> dict[str, NDArray[Any] | None]:
        self._redraws = other_draws  # between the rule's passes: its forward pass draws what the run before drew
        try:
            return super().gradients(grad_output)
        finally:
            self._redraws = False

    def _vjp(self, given: Sequence[Any], grads: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        """The outputs by the rule's forward pass, and the gradients by its backward one."""
        outputs, pull_back = self._jax.vjp(self._floats, *given)
        for drawing in self._generators if self._redraws else ():
            drawing.random()
        kinds = [output.dtype for output in outputs]
        return outputs, pull_back([g.astype(kind) for g, kind in zip(grads, kinds, strict=True)])

    def _is_near(self, one: Any, other: Any) -> bool:
        """Whether they agree by half of the digits of the outputs: to these, two ways to compute the same agree."""
        eps = max(float(self._jax.numpy.finfo(output.dtype).eps) for output in self._outputs)
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        near = eps**0.5 * (float(np.max(np.abs(other), initial=0.0)) or 1.0)
        return np.allclose(one, other, rtol=0.0, atol=near, equal_nan=True)

    def _given(self) -> list[Any]:
        """The arrays, rounded to the dtypes in which they are to be."""
        widest = np.float64 if self._wide else None
        dtypes = [self._jax.dtypes.canonicalize_dtype(widest or self._leaves[name].dtype) for name in self.arrays]
        return [self._jax.numpy.asarray(array.astype(d)) for array, d in zip(self.arrays.values(), dtypes, strict=True)]

    def _floats(self, *given: Any) -> list[Any]:
        """The outputs of floats for these in the places of the arrays."""
        leaves = [*({**self._leaves, **dict(zip(self.arrays, given, strict=True))}).values()]
        result = self._function(*self._jax.tree_util.tree_unflatten(self._tree, leaves))
        outputs = [self._jax.numpy.asarray(output) for output in self._jax.tree_util.tree_leaves(result)]
        if any(self._jax.numpy.issubdtype(output.dtype, np.complexfloating) for output in outputs):
            raise TypeError(f"{self.label}: expected an output of real numbers, got complex ones")
        floats = [output for output in outputs if self._jax.numpy.issubdtype(output.dtype, np.floating)]
        if not floats:
            raise TypeError(f"{self.label}: expected an output of floats, got {result!r}")
        return floats

    @contextmanager
    def _precision(self) -> Iterator[None]:
        with ExitStack() as around:
            if self._wide:
                home = self._jax if hasattr(self._jax, "enable_x64") else self._jax.experimental
                around.enter_context(home.enable_x64(True))
            if self._has_loops:
                around.enter_context(self._jax.disable_jit())
            yield

    def leave_loops_to_python(self) -> None:
        """Run loops that end by a condition as Python's, if there are any and that works.

        At a point of the check such a loop may have no end, and nothing stops one that is compiled.
        """
        with self._precision(), suppress(Exception):  # what cannot be traced has no loop of JAX's
            self._has_loops = " while[" in str(self._jax.make_jaxpr(self._floats)(*self._given()))
        if self._has_loops:
            try:
                _try_out(self)
            except SubjectError:
                # Called one by one, a loop of JAX's is compiled anew at each call.
                self._has_loops, self._compiles_after = False, 0
            self.patience = Patience()  # the first calls took as long as it takes to compile

    def output(self) -> Array:
        if self.evaluations >= self._compiles_after:
            self._compiles_after = math.inf
            self._compile()
        return super().output()

    def _compile(self) -> None:
        """Have each pass compiled as a whole if it gives the same so: it takes a tenth of the time of one by one.

        What draws random numbers or keeps a state stays as it is: compiled, it would do so once and never again. So
        does what cannot be traced, as it looks at values in Python.
        """
        if self._has_loops or self.draws or self._home is not None:
            return
        with suppress(SubjectError):
            plain = self._both_passes()
            self._run_floats, self._run_vjp = self._jax.jit(self._floats), self._jax.jit(self._vjp)
            if all(map(self._is_near, self._both_passes(), plain)):
                return
        self._run_floats, self._run_vjp = self._floats, self._vjp

    def _both_passes(self) -> list[Any]:
        output = self.output()
        claimed = self.gradients(np.ones(output.shape))
        return [output, *(claimed[name] for name in self.arrays)]


def _leaves(jax: Any, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """All that is in the arguments, by what it is called."""
    tree = jax.tree_util
    paths, _ = tree.tree_flatten_with_path(tuple(values.values()))
    return [(list(values)[path[0].idx] + tree.keystr(path[1:]), leaf) for path, leaf in paths]


def _last(shown: str) -> str:
    """The last name in ``params['layer']['b']``, which is ``b``."""
    return re.findall(r"\w+", shown)[-1]


def _try_out(subject: JaxSubject) -> None:
    """A pass forward and one backward. SubjectError if the code raises."""
    output = subject.output()
    subject.gradients(np.ones(output.shape))


def _with_rule(jax: Any, pair: Sequence[Callable[..., Any]], values: Sequence[Any]) -> Any:
    """A function that has the pair as its rule."""
    forward, backward = pair
    result = forward(*values)
    if isinstance(result, tuple) and len(result) == 2:
        ruled = jax.custom_vjp(lambda *arguments: forward(*arguments)[0])
        ruled.defvjp(forward, lambda residuals, g: _as_tuple(backward(residuals, g)))
        return ruled
    ruled = jax.custom_vjp(forward)
    ruled.defvjp(
        lambda *arguments: (forward(*arguments), arguments), lambda arguments, g: _as_tuple(backward(*arguments, g))
    )
    return ruled


def _as_tuple(gradients: Any) -> tuple[Any, ...]:
    return tuple(gradients) if isinstance(gradients, (tuple, list)) else (gradients,)


def _is_of_jax(thing: Any) -> bool:
    return type(thing).__module__.partition(".")[0] in ("jax", "jaxlib")


def _refers_to_jax(function: Any, seen: frozenset[int] = frozenset()) -> bool:
    """Whether a function is JAX's by its type, or has JAX's names in its code or in that of functions it calls."""
    if _is_of_jax(function):
        return True
    if isinstance(function, functools.partial):
        return _refers_to_jax(function.func, seen)
    if not (inspect.isroutine(function) or isinstance(function, type)) and callable(function):
        function = type(function).__call__  # an object that is called, such as a transform
    if id(function) in seen or not (inspect.isfunction(function) or inspect.ismethod(function)):
        return False
    found = [*inner(function), *_asked_of_modules(function)]
    if any(inspect.ismodule(thing) and thing.__name__.partition(".")[0] == "jax" for thing in found):
        return True
    return any(_refers_to_jax(thing, seen | {id(function)}) for thing in found)


def _asked_of_modules(function: Any) -> Iterator[Any]:
    """What the code of a function asks modules for, as a function of a library that is built on JAX."""
    asked, modules = set(_names_in(function.__code__)), [thing for thing in inner(function) if inspect.ismodule(thing)]
    seen: set[int] = set()
    while modules:
        module = modules.pop()
        if id(module) in seen or module.__name__.partition(".")[0] in sys.stdlib_module_names:
            continue
        seen.add(id(module))
        parts = [value for name, value in vars(module).items() if name in asked]
        modules += [part for part in parts if inspect.ismodule(part)]
        yield from parts


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)

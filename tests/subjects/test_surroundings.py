"""Functions whose parameters are names around them are checked with these, and leave them as they were."""

import inspect
import linecache
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from stand_ins import stand_in

from numpy_nn.gradcheck import check_gradients
from numpy_nn.subjects import Hints, SubjectError, data_around, recognise
from numpy_nn.subjects.agreement import Agreement
from numpy_nn.subjects.parameters.code import CodeSubject
from numpy_nn.subjects.source.bindings import UNBOUND, bindings
from numpy_nn.subjects.source.surroundings import Surroundings, _moved
from numpy_nn.subjects.state import Snapshot, widen

X = np.random.default_rng(1).standard_normal((5, 4))
Y = np.random.default_rng(2).uniform(0.0, 1.0, (5, 3))

BEGIN = "import numpy as np\nrng = np.random.default_rng(0)\nW, b = rng.standard_normal((4, 3)), np.zeros(3)\n"


@pytest.fixture
def script(request):
    """A module of this source, whose functions have a source that can be looked up."""
    made: list[str] = []

    def of(source):
        name = f"script_{len(made)}_{abs(hash(request.node.name))}"
        module = ModuleType(name)
        linecache.cache[f"<{name}>"] = (len(source), None, (BEGIN + source).splitlines(keepends=True), f"<{name}>")
        exec(compile(BEGIN + source, f"<{name}>", "exec"), vars(module))
        sys.modules[name] = module
        made.append(name)
        return module

    yield of
    for name in made:
        del sys.modules[name], linecache.cache[f"<{name}>"]


PAIR = """
WRONG = 1.0
unused = np.ones((4, 3))
def forward(x):
    global cached
    cached = x
    return np.tanh(x @ W + b)
def backward(d):
    global dW, db
    dz = d * (1 - forward(cached) ** 2)
    dW, db = WRONG * cached.T @ dz, dz.sum(axis=0)
    return dz @ W.T
"""


def verdicts(report):
    return {entry.name: entry.verdict for entry in report.entries}


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_globals_are_parameters_and_are_as_they_were_afterwards(script, wrong, verdict):
    module = script(PAIR)
    module.WRONG, module.W = wrong, module.W.astype(np.float32)
    before = dict(vars(module))
    values = module.W.copy()
    report = check_gradients((module.forward, module.backward), X)
    assert verdicts(report) == {"x": "right", "W": verdict, "b": "right"}, report
    assert vars(module).keys() == before.keys()
    assert all(vars(module)[name] is before[name] for name in before)
    np.testing.assert_array_equal(module.W, values)


def test_what_has_no_gradient_beside_globals_that_have_is_a_problem_and_may_be_a_constant(script):
    module = script(PAIR.replace("dW, db = WRONG * cached.T @ dz, dz.sum(axis=0)", "dW = cached.T @ dz"))
    report = check_gradients((module.forward, module.backward), X)
    assert report.verdict == "undecided"
    assert "no gradient was found of b" in report.problems[0]
    assert check_gradients((module.forward, module.backward), X, constants=["b"]).verdict == "right"


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_globals_of_which_no_gradient_is_claimed_are_what_functions_use(script, wrong, verdict):
    module = script(f"def f(x): return x @ W + b\ndef g(d): return {wrong} * d @ W.T\n")
    report = check_gradients((module.f, module.g), X)
    assert verdicts(report) == {"x": verdict}
    assert any("no gradient is claimed of W, b: not checked" in note for note in report.notes), report


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_an_input_of_the_shape_of_a_global_keeps_its_gradient(script, wrong, verdict):
    module = script(
        f"V = np.ones((4, 4))\ndef f(x): return np.sin(V @ x)\ndef g(x): return {wrong} * np.cos(V @ x) * V\n"
    )
    report = check_gradients((module.f, lambda x: np.diag(np.cos(module.V @ x)) @ module.V * wrong), X[0])
    assert verdicts(report) == {"x": verdict}, report


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (3.0, "wrong")])
@pytest.mark.parametrize(
    "returned",
    [
        "loss, {wrong} * X.T @ d, d.sum(axis=0)",
        "loss, {{'W': {wrong} * X.T @ d, 'b': d.sum(axis=0)}}",
        "{{'W': {wrong} * X.T @ d, 'b': d.sum(axis=0)}}, loss",
        "loss, dW, db",
        "loss, db, dW",
        "loss, [dW, db]",
        "loss, listed",
        "loss, dW, db, state",
    ],
)
def test_a_loss_may_return_the_gradients_of_globals_in_any_way(script, returned, wrong, verdict):
    module = script(
        "def step(X, y, h0):\n"
        "    d = (X @ W + b + h0 - y) / len(X)\n"
        f"    dW, db, state, loss = {wrong} * X.T @ d, d.sum(axis=0), h0 + 1.0, 0.5 * np.sum(d ** 2) * len(X)\n"
        f"    listed = (dW, db)\n    return {returned.format(wrong=wrong)}\n"
    )
    report = check_gradients(module.step, (X, Y, np.ones((5, 3))))
    assert verdicts(report) == {"W": verdict, "b": "right"}, report
    assert not report.problems


def test_a_function_may_leave_gradients_of_its_loss_under_names(script):
    module = script(
        "def step(X, y):\n    global dW, db\n    d = X @ W + b - y\n    dW, db = 2 * X.T @ d, d.sum(axis=0)\n"
        "    return 0.5 * np.sum(d ** 2)\n"
    )
    assert verdicts(check_gradients(module.step, X, Y)) == {"W": "wrong", "b": "right"}


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_gradients_of_one_shape_may_be_returned_in_any_order_and_without_names(script, wrong, verdict):
    module = script(
        "U, V = rng.standard_normal((4, 4)), rng.standard_normal((4, 4))\n"
        "def f(x): return np.tanh(x @ U) @ V\n"
        "def g(d, x):\n    h = np.tanh(x @ U)\n    dz = d @ V.T * (1 - h ** 2)\n"
        f"    return {wrong} * h.T @ d, x.T @ dz, dz @ U.T\n"
    )
    report = check_gradients((module.f, module.g), X[:4])
    assert verdicts(report) == {"x": "right", "U": "right", "V": verdict}, report


def test_a_number_without_gradients_is_refused_with_globals_as_well(script):
    module = script("def cost(X, y): return 0.5 * np.sum((X @ W + b - y) ** 2)\n")
    with pytest.raises(TypeError, match="expected a backward pass"):
        check_gradients(module.cost, X, Y)


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (3.0, "wrong")])
def test_gradients_that_are_added_up_are_zeroed_by_the_function_beside(script, wrong, verdict):
    module = script(
        PAIR.replace("dW, db = WRONG * cached.T @ dz, dz.sum(axis=0)", "dW += WRONG * cached.T @ dz; db += dz.sum(0)")
        + "dW, db = np.zeros_like(W), np.zeros_like(b)\ndef zero_grad():\n    dW[...] = 0; db[...] = 0\n"
    )
    module.WRONG = wrong
    report = check_gradients((module.forward, module.backward), X)
    assert verdicts(report) == {"x": "right", "W": verdict, "b": "right"}, report


def test_a_loss_among_the_functions_of_the_file_is_found_by_the_usual_names(script):
    module = script(
        "def forward(X): return 1 / (1 + np.exp(-(X @ W + b)))\n"
        "def mse(p, y): return 3 * np.mean((p - y) ** 2)\n"
        "def backward(X, y):\n    a = forward(X)\n    d = 6 * (a - y) * a * (1 - a) / y.size\n"
        "    return X.T @ d, d.sum(axis=0)\n"
    )
    report = check_gradients((module.forward, module.backward), X, Y)
    assert report.verdict == "right", report
    assert "judged as the gradients of mse, the one loss in the same file" in report.notes


def test_surroundings_are_the_names_that_functions_and_what_they_call_use(script):
    module = script(
        "lr = 0.1\ndef affine(x): return x @ W\n"
        "def forward(x):\n    global late\n    late = affine(x) * lr\n    return late\n"
    )
    around = Surroundings(module.forward)
    assert set(vars(around)) == {"forward", "affine", "W", "lr"}
    assert all(getattr(around, name) is value for name, value in vars(around).items())
    assert (around.lr, around.W) == (0.1, module.W)
    before = Snapshot(around)
    module.forward(X)
    np.testing.assert_array_equal(around.late, X @ module.W * 0.1)
    around.W = module.W.astype(np.float32)
    widen(around)
    assert module.W.dtype == np.float64
    before.restore()
    assert not hasattr(around, "late")
    assert "late" not in vars(module)
    with pytest.raises(AttributeError, match="np"):
        _ = around.np


def test_names_of_a_closure_and_of_a_module_are_read_bound_and_taken_away():
    value = 1.0
    later = None

    def function():
        nonlocal later
        later = (value, X, len)

    found = bindings(function)
    assert set(found) == {"value", "later", "X"}
    before = Snapshot(function)
    function()
    assert found["later"].read() == (1.0, X, len)
    before.restore()
    assert found["later"].read() is None
    found["value"].bind(UNBOUND)
    assert found["value"].read() is UNBOUND
    found["value"].bind(2.0)
    assert value == 2.0


W_BY_DEFAULT = np.random.default_rng(1).normal(size=(3, 2))


def with_default(wrong, dtype=np.float64):
    """Passes whose weights are a default of theirs, in the backward pass under another name and by name alone."""
    W = W_BY_DEFAULT.astype(dtype)

    def forward(x, W=W):
        return np.tanh(x @ W)

    def backward(x, grad_output, *, weights=W):
        dz = grad_output * (1 - np.tanh(x @ weights) ** 2)
        return dz @ weights.T, wrong * x.T @ dz

    return forward, backward


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("wrong", "verdict"), [(1, "right"), (2, "wrong")])
def test_an_array_by_default_is_a_parameter_and_is_as_it_was_afterwards(wrong, verdict, dtype):
    forward, backward = with_default(wrong, dtype)
    (own,), other = forward.__defaults__, backward.__kwdefaults__["weights"]
    report = check_gradients((forward, backward), np.random.default_rng(0).normal(size=(4, 3)))
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "right", "W": verdict}
    assert forward.__defaults__[0] is own is other is backward.__kwdefaults__["weights"]
    np.testing.assert_array_equal(own, W_BY_DEFAULT.astype(dtype))


def test_an_array_by_default_that_is_given_is_an_argument():
    x, W = np.random.default_rng(0).normal(size=(4, 3)), np.random.default_rng(2).normal(size=(3, 2))
    report = check_gradients(with_default(1), (x, W))
    assert "W" in {entry.name for entry in report.entries}


def test_a_default_that_is_an_array_in_the_module_too_is_one_thing():
    W = W_BY_DEFAULT.astype(np.float32)

    def forward(x, W=W):
        return x @ W

    def backward(x, grad_output):
        return grad_output @ W.T, x.T @ grad_output

    around = Surroundings(forward, backward)
    around.W = moved = W + 1
    assert inspect.signature(forward).parameters["W"].default is W is moved


def subject_with(found, *, by_name=False, places=("W",), unchecked=(), arrays=("x",), all_taken=True):
    """What is seen of a subject; ``found`` says how well its gradients agree."""
    made = stand_in(found=found, names_tell_parameters=by_name, parameter_places=places, unchecked=list(unchecked))
    made.arrays, made.leaves_nothing_returned, made.input = dict.fromkeys(arrays), all_taken, arrays[0]
    made.take_for_granted = lambda: setattr(made, "is_granted", True)
    return made


def of_surroundings(monkeypatch, around, alone, x=X):
    """What is taken of a function with the arrays around it as parameters, and by itself; an error is raised."""

    def of_passes(_, __, ___, ____, owner, _____):
        made = alone if owner is None else around
        if isinstance(made, Exception):
            raise made
        return made

    monkeypatch.setattr(data_around, "of_passes", of_passes)
    monkeypatch.setattr(data_around, "agreement", lambda subject: subject.found)
    monkeypatch.setattr(data_around, "claimed_in_shape", lambda subject: (None, subject.arrays))
    surroundings: Any = SimpleNamespace()
    return data_around.of_surroundings(np.sin, np.cos, (x,), None, surroundings, Hints())


NONE, HALF, ALL, NO_SHAPE = Agreement(0, 1, 0), Agreement(1, 2, 0), Agreement(1, 1, 4), Agreement(0, 0, 0)


def test_arrays_around_a_function_are_parameters_if_names_or_numbers_say_so(monkeypatch):
    alone = subject_with(ALL)
    for around in (subject_with(NONE, by_name=True), subject_with(ALL)):
        assert of_surroundings(monkeypatch, around, alone) is around
    for found in (NONE, HALF, NO_SHAPE):
        assert of_surroundings(monkeypatch, subject_with(found), alone) is alone
    # Names tell nothing without a parameter.
    assert of_surroundings(monkeypatch, subject_with(ALL, by_name=True, places=()), alone) is alone


def test_arrays_around_stay_parameters_where_what_is_returned_is_not_that_of_all_inputs(monkeypatch):
    around = subject_with(NONE)
    for alone in (subject_with(NO_SHAPE), subject_with(NONE, all_taken=False), SubjectError("no"), TypeError("no")):
        assert of_surroundings(monkeypatch, around, alone) is around
    of_both = subject_with(Agreement(0, 2, 0), arrays=("x", "y"))
    assert of_surroundings(monkeypatch, around, of_both) is of_both


def test_of_a_function_by_itself_the_arrays_around_count_as_granted_and_its_own_are_checked(monkeypatch):
    around = subject_with(NONE, unchecked=[("x", "data", 0), ("W", "unchecked", 3), ("m", "buffer", 2)])
    alone = subject_with(ALL, unchecked=[("m", "unchecked", 2)])
    found: Any = of_surroundings(monkeypatch, around, alone)
    assert found.unchecked == [("m", "unchecked", 2), ("W", "unchecked", 3)]
    assert found.is_granted


def test_if_neither_runs_the_error_is_that_of_the_arrays_around_where_nothing_else_could_be_checked(monkeypatch):
    first, second = ValueError("with them"), ValueError("alone")
    for x, error in ((X, second), (3, first)):
        with pytest.raises(ValueError, match=str(error)) as caught:
            of_surroundings(monkeypatch, first, second, x)
        assert caught.value is error
    with pytest.raises(ValueError, match="alone"):
        of_surroundings(monkeypatch, subject_with(NONE, places=()), second, 3)
    alone = subject_with(ALL)
    assert of_surroundings(monkeypatch, first, alone) is alone


def test_only_functions_of_no_object_with_arrays_around_them_are_checked_with_these(monkeypatch):
    monkeypatch.setattr(recognise, "of_surroundings", lambda *_: "with what is around")

    def seen(f, vjp):
        return recognise._of_functions(f, vjp, (X,), None, Hints())

    class Net:
        def forward(self, x):
            return x @ weight

        def backward(self, g):
            return g @ weight.T

    weight: Any = np.ones((4, 3))
    assert seen(lambda x: x @ weight, lambda _, g: g @ weight.T) == "with what is around"
    assert isinstance(seen(lambda x: np.sin(x), lambda x, g: g * np.cos(x)), CodeSubject)
    net = Net()
    assert isinstance(seen(net.forward, net.backward), CodeSubject)


@pytest.mark.parametrize(
    ("after", "moved"), [([1.0, 2.0], False), ([1.0, 3.0], True), ([1.0, 2.0, 3.0], False), ([[1.0, 3.0]], False)]
)
def test_a_step_is_one_of_an_array_that_keeps_its_shape(after, moved):
    assert _moved({"W": np.array([1.0, 2.0])}, {"W": np.array(after)}, "W") == moved


def test_a_name_around_functions_may_be_any():
    dtype = "float32"  # as of an array

    def forward(x):
        return np.tanh(x.astype(dtype)).astype(np.float64)

    def backward(x, grad_output):
        return (grad_output * (1 - np.tanh(x.astype(dtype)) ** 2)) * scale

    scale = np.ones(2)
    assert check_gradients((forward, backward), np.array([[0.5, -1.0]])).verdict == "right"


AROUND = np.random.default_rng(1).normal(size=(3, 2))


class ReadsWhatLiesAround:
    """Its weights are a name of the module, or a default; what it keeps is three times the gradient of them."""

    def forward(self, x, scale=AROUND[0] + 2.0):
        self.x = x
        return x @ AROUND * scale

    def backward(self, grad_output, scale=AROUND[0] + 2.0):
        grad_output = grad_output * scale
        self.dAROUND = 3 * self.x.T @ grad_output
        return grad_output @ AROUND.T


def test_arrays_around_the_methods_of_an_object_are_counted():
    before = AROUND.copy()
    x = np.random.default_rng(0).normal(size=(4, 3))
    report = check_gradients(ReadsWhatLiesAround(), x)
    assert report.verdict == "undecided"
    assert any("no gradient was found of AROUND" in problem for problem in report.problems)
    assert "used by the functions, and no gradient is claimed of scale: not checked" in report.notes
    report = check_gradients(ReadsWhatLiesAround(), x, constants=["AROUND"])
    assert report.verdict == "right"
    np.testing.assert_array_equal(AROUND, before)

"""The checker called as torch's: functions, modules, second derivatives, and what it leaves as it was."""

import numpy as np
import pytest
import torch
from torch import nn

from torch_ref import gradcheck, gradgradcheck
from torch_ref.gradcheck import from_command_line

pytestmark = [pytest.mark.slow, pytest.mark.numerical]


def drawn(*shape, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=dtype, generator=generator).requires_grad_()


class Dense(torch.autograd.Function):
    """tanh(x w), written in the older form."""

    @staticmethod
    def forward(ctx, x, w):
        ctx.save_for_backward(x, w)
        return torch.tanh(x @ w)

    @staticmethod
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        slope = grad_output * (1 - torch.tanh(x @ w) ** 2)
        return slope @ w.T, x.T @ slope


class AtTheOutput(Dense):
    """The derivative of tanh at the output, where the input belongs."""

    @staticmethod
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        slope = grad_output * (1 - torch.tanh(torch.tanh(x @ w)) ** 2)
        return slope @ w.T, x.T @ slope


class ForgetsTheWeight(Dense):
    @staticmethod
    def backward(ctx, grad_output):
        return Dense.backward(ctx, grad_output)[0], None


class LeavesTheGraph(Dense):
    """Right once: of the second derivative a part is lost, as tanh(x w) is taken as a constant."""

    @staticmethod
    def backward(ctx, grad_output):
        x, w = ctx.saved_tensors
        slope = grad_output * (1 - torch.tanh(x @ w).detach() ** 2)
        return slope @ w.T, x.T @ slope


class NewerForm(torch.autograd.Function):
    """x^2 and its largest entry's place, with the context in a function of its own."""

    @staticmethod
    def forward(x):
        return x**2, x.argmax()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, grad_square, _):
        return 2 * ctx.saved_tensors[0] * grad_square


class Sign(torch.autograd.Function):
    """A straight-through estimator."""

    @staticmethod
    def forward(_, x):
        return x.sign()

    @staticmethod
    def backward(_, grad_output):
        return grad_output


class Narrow(torch.autograd.Function):
    """exp by a kernel for float32 alone."""

    @staticmethod
    def forward(ctx, x):
        if x.dtype != torch.float32:
            raise RuntimeError("expected scalar type Float")
        ctx.save_for_backward(x.exp())
        return x.exp()

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[0]


class NarrowDoubled(Narrow):
    @staticmethod
    def backward(ctx, grad_output):
        return 2 * grad_output * ctx.saved_tensors[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_function_of_ones_own(dtype):
    inputs = drawn(5, 4, dtype=dtype), drawn(4, 3, dtype=dtype, seed=1)
    report = gradcheck(Dense, inputs)
    assert report
    assert [entry.name for entry in report.entries] == ["x", "w"]
    assert report.target == "Dense"
    report = gradcheck(AtTheOutput, inputs)
    assert not report
    assert {entry.cause for entry in report.entries} == {"derivative_at_output"}
    with pytest.raises(AssertionError, match="AtTheOutput: WRONG"):
        report.raise_if_failed()
    # The digits of the verdict are those of float64 for both, and who gave float32 is told.
    assert report["w"].bound < 1e-9
    assert any("computed in float64" in note for note in report.notes) == (dtype == torch.float32)


def test_in_float32_the_verdict_says_to_how_many_digits():
    inputs = drawn(5, 4, dtype=torch.float32), drawn(4, 3, dtype=torch.float32, seed=1)
    report = gradcheck(Dense, inputs, dtype=torch.float32)
    assert report
    assert all((entry.digits or 0.0) >= 2.0 for entry in report.entries)
    assert gradcheck(AtTheOutput, inputs, dtype=torch.float32).verdict == "wrong"
    assert gradcheck(nn.Linear(4, 3), inputs[0], dtype=torch.float32)
    assert gradcheck(Dense, tuple(t.detach().double().requires_grad_() for t in inputs), dtype=torch.float32)


def test_only_what_requires_grad_is_differentiated():
    x, w = drawn(5, 4), drawn(4, 3, seed=1)
    assert [entry.name for entry in gradcheck(Dense, (x, w.detach())).entries] == ["x"]
    report = gradcheck(ForgetsTheWeight, (x.detach(), w))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("w", "wrong")]
    assert any("None for w, which counts as zeros" in note for note in report.notes)
    with pytest.raises(ValueError, match="at least one tensor that requires grad"):
        gradcheck(Dense, (x.detach(), w.detach()))


def test_an_integer_output_is_no_matter_of_gradients():
    assert gradcheck(NewerForm, drawn(6))


def test_several_outputs_and_arguments_that_are_no_tensors():
    def two(x, power, labels):
        return {"power": x**power, "chosen": [x[torch.arange(3), labels]]}

    report = gradcheck(two, (drawn(3, 4), 3, torch.tensor([1, 0, 3])))
    assert report
    assert [entry.name for entry in report.entries] == ["x"]


def test_masks_and_sparse_constants_are_passed_on():
    mask, graph = torch.tensor([True, False, True]), torch.eye(3, dtype=torch.float32).to_sparse()

    def mixed(x, mask, graph):
        return torch.sparse.mm(graph, x) * mask[:, None]

    assert gradcheck(mixed, (drawn(3, 2), mask, graph.double()))
    assert gradcheck(mixed, (drawn(3, 2, dtype=torch.float32), mask, graph))


def test_the_parameters_of_a_module_are_checked_by_their_names():
    net = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 2))
    net[2].bias.requires_grad_(False)
    report = gradcheck(net, drawn(5, 4))
    assert report
    assert [entry.name for entry in report.entries] == ["input", "0.weight", "0.bias", "2.weight"]
    # The input is the batch also where it is not differentiated.
    report = gradcheck(net, drawn(5, 4).detach())
    assert report
    assert [entry.name for entry in report.entries] == ["0.weight", "0.bias", "2.weight"]
    assert [entry.name for entry in gradcheck(net[0].forward, drawn(5, 4)).entries] == ["input", "weight", "bias"]


class Scaled(nn.Module):
    """y = a * x with a mistake, or none, and a parameter that nothing depends on."""

    def __init__(self, function):
        super().__init__()
        self.x, self.unused = nn.Parameter(torch.rand(4) + 0.5), nn.Parameter(torch.ones(2))
        self.function = function

    def forward(self, x):
        return self.function.apply(x * self.x, torch.eye(4, dtype=x.dtype))


def test_a_mistake_inside_a_module_shows_in_its_parameters():
    report = gradcheck(Scaled(AtTheOutput), drawn(5, 4, dtype=torch.float32))
    assert [(entry.name, entry.verdict) for entry in report.entries] == [("x", "wrong"), ("Scaled.x", "wrong")]
    report = gradcheck(Scaled(Dense), drawn(5, 4, dtype=torch.float32))
    assert report
    assert any("does not depend on unused: not checked" in note for note in report.notes)


def test_a_loss_with_labels():
    assert gradcheck(nn.CrossEntropyLoss(label_smoothing=0.1), (drawn(5, 3), torch.tensor([0, 1, 2, 2, 0])))


def test_random_functions_get_the_same_draws_and_torch_goes_on_as_if_nothing_had_been():
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False), nn.Dropout(0.5))
    net[0].bias.requires_grad_(False)  # BatchNorm takes it out again
    kept = {name: values.clone() for name, values in net.state_dict().items()}
    state = torch.get_rng_state()
    x = drawn(5, 4, dtype=torch.float32)
    report = gradcheck(net, x)
    assert report, report
    assert any("random numbers" in note for note in report.notes)
    assert torch.equal(torch.get_rng_state(), state)
    assert x.grad is None
    for name, values in net.state_dict().items():
        assert values.dtype == kept[name].dtype
        assert torch.equal(values, kept[name]), name


def test_a_generator_that_the_code_keeps_is_found():
    generator = torch.Generator().manual_seed(3)

    def noisy(x):
        return x * torch.rand(x.shape, generator=generator, dtype=x.dtype)

    assert gradcheck(noisy, drawn(3, 4))


def test_a_backward_that_draws_numbers_of_its_own_cannot_be_judged():
    class Draws(Sign):
        @staticmethod
        def forward(_, x):
            return x * 2

        @staticmethod
        def backward(_, grad_output):
            return grad_output * torch.rand_like(grad_output)

    report = gradcheck(Draws, drawn(3, 4))
    assert report.verdict == "undecided"
    assert any("different gradients" in problem for problem in report.problems)


def test_what_takes_float32_only_is_checked_in_float32():
    report = gradcheck(Narrow, drawn(3, 4, dtype=torch.float32))
    assert report
    assert (report["x"].digits or 0.0) >= 2.0
    report = gradcheck(NarrowDoubled, drawn(3, 4, dtype=torch.float32))
    assert report["x"].verdict == "wrong"
    assert any("does not take float64 (expected scalar type Float)" in note for note in report.notes)
    with pytest.raises(RuntimeError, match="expected scalar type Float"):
        gradcheck(Narrow, drawn(3, 4))


def test_an_error_in_backward_comes_through():
    class Raises(Sign):
        @staticmethod
        def backward(*_):
            raise ZeroDivisionError("of my own")

    for dtype in (torch.float32, torch.float64):
        with pytest.raises(ZeroDivisionError, match="of my own"):
            gradcheck(Raises, drawn(3, dtype=dtype))


def test_an_input_that_is_changed_in_place_is_reported():
    class Clamps(Sign):
        @staticmethod
        def forward(_, x):
            with torch.no_grad():
                x.clamp_(min=-0.5)
            return x * 1.0

    report = gradcheck(Clamps, drawn(3, 4))
    assert any("changes x in place" in text for text in report.warnings)


@pytest.mark.parametrize(
    ("fn", "inputs", "error", "text"),
    [
        (torch.abs, (torch.ones(2, dtype=torch.complex128, requires_grad=True),), TypeError, "real numbers"),
        (lambda x: torch.fft.rfft(x), drawn(4), TypeError, "real numbers"),
        (torch.sum, torch.eye(3).to_sparse().requires_grad_(), TypeError, "dense"),
        (lambda x: x.detach(), drawn(3), ValueError, "output that requires grad, got a tensor of torch.float64"),
        (lambda _: None, drawn(3), ValueError, "output that requires grad, got NoneType"),
        (nn.Linear, drawn(3), TypeError, "object of Linear, got the class"),
        ("tanh", drawn(3), TypeError, "function of tensors, got str"),
    ],
)
def test_what_cannot_be_checked_is_refused_in_a_line(fn, inputs, error, text):
    with pytest.raises(error, match=text) as refused:
        gradcheck(fn, inputs)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_second_derivative(dtype):
    inputs = drawn(3, 4, dtype=dtype), drawn(4, 2, dtype=dtype, seed=1)
    report = gradgradcheck(Dense, inputs)
    assert report, report
    assert [entry.name for entry in report.entries] == ["x", "w", "grad_output"]
    assert gradgradcheck(Dense, inputs, torch.ones(3, 2, dtype=dtype))


def test_a_second_derivative_of_which_a_part_is_lost():
    inputs = drawn(2, 2), torch.eye(2, dtype=torch.float64)
    assert gradcheck(LeavesTheGraph, inputs)
    report = gradgradcheck(LeavesTheGraph, inputs)
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "wrong", "grad_output": "right"}
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        torch.autograd.gradgradcheck(LeavesTheGraph.apply, inputs)


def test_the_second_derivative_of_a_module():
    net = nn.Sequential(nn.Linear(4, 3), nn.Softplus()).double()
    report = gradgradcheck(net, drawn(2, 4))
    assert report, report
    assert [entry.name for entry in report.entries] == ["input", "grad_output", "0.weight", "0.bias"]


def test_a_backward_through_numpy_has_no_second_derivative():
    class ThroughNumPy(Dense):
        @staticmethod
        def backward(ctx, grad_output):
            with torch.no_grad():
                return Dense.backward(ctx, grad_output)

    x, w = drawn(1, 2), torch.eye(2, dtype=torch.float64)
    assert gradcheck(ThroughNumPy, (x, w))
    report = gradgradcheck(ThroughNumPy, (x, w))
    assert {entry.name: entry.verdict for entry in report.entries} == {"x": "wrong", "grad_output": "wrong"}
    assert "note: backward returns None for x, which counts as zeros" in str(report)


def test_a_declared_surrogate_is_what_the_gradient_is_judged_as():
    x = drawn(5, 4)
    assert gradcheck(Sign, x).verdict == "wrong"
    report = gradcheck(Sign, x, surrogate=lambda z: z)
    assert report
    assert any("surrogate, not of forward" in note for note in report.notes)
    assert gradcheck(Sign, x, surrogate=torch.tanh).verdict == "wrong"


@pytest.mark.parametrize(
    "module",
    [nn.GELU(), nn.SiLU(), nn.LayerNorm(4), nn.Softmax(dim=1), nn.Bilinear(2, 2, 3)],
    ids=lambda module: type(module).__name__,
)
def test_what_torch_finds_right_is_right(module):
    module.double()
    inputs = (drawn(3, 2), drawn(3, 2, seed=1)) if isinstance(module, nn.Bilinear) else (drawn(3, 4),)
    assert torch.autograd.gradcheck(module, inputs)
    report = gradcheck(module, inputs)
    assert report, report


def test_outputs_inside_of_others_are_found():
    # torch's own checker takes no tuple in a tuple.
    report = gradcheck(nn.LSTM(4, 2).double(), drawn(3, 4))
    assert report, report
    assert len(report.entries) == 5


class InFloat32(nn.Module):
    """Refuses anything wider."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        if self.linear.weight.dtype != torch.float32:
            raise TypeError("expected float32")
        return self.linear(x)


def test_as_on_the_command_line():
    x, w = np.random.default_rng(0).standard_normal((5, 4)), np.random.default_rng(1).standard_normal((4, 3))
    assert from_command_line(Dense, [x, w])
    assert from_command_line(Dense, [x[:2], w], second=True)
    assert from_command_line(Sign, [x]).verdict == "wrong"
    report = from_command_line(nn.Linear, [x], init=[4, 3], settings={"bias": False}, seed=7)
    assert report
    assert [entry.name for entry in report.entries] == ["input", "weight"]
    assert from_command_line(nn.CrossEntropyLoss, [w, np.array([0, 1, 2, 0])])
    report = from_command_line(InFloat32, [x])
    assert report, report
    assert any(note.startswith("computed in float32, as InFloat32 does not take float64") for note in report.notes)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        from_command_line(nn.Linear, [x], init=[3, 2])
    with pytest.raises(TypeError, match="Dense is no class of modules"):
        from_command_line(Dense, [x, w], init=[4])

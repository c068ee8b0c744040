"""Objects and pairs with a backward pass that autograd does not call: refused, with the line that checks that pass."""

import pytest

torch = pytest.importorskip("torch")
torch_ref = pytest.importorskip("torch_ref")

X = torch.tensor([[0.5, -1.0], [2.0, 0.25]], dtype=torch.float64, requires_grad=True)


class ByHand:
    def __init__(self, wrong=1.0):
        self.wrong = wrong

    def forward(self, x):
        self.out = torch.tanh(x)
        return self.out

    def __call__(self, x):
        return self.forward(x)

    def backward(self, grad_output):
        return self.wrong * grad_output * (1 - self.out**2)


@pytest.mark.parametrize(("wrong", "verdict"), [(1.0, "right"), (1.5, "wrong")])
def test_a_backward_pass_that_autograd_leaves_aside_is_not_passed_over(wrong, verdict):
    import numpy_nn.gradcheck

    net, x = ByHand(wrong), X.detach()
    with pytest.raises(TypeError, match="ByHand has a backward pass of its own") as refused:
        torch_ref.gradcheck(net, X)
    line = str(refused.value).splitlines()[-1].strip()
    assert eval(line, {"numpy_nn": numpy_nn, "net": net, "x": x}).verdict == verdict


def test_a_pair_is_sent_to_where_pairs_are_checked():
    with pytest.raises(TypeError, match=r"check_gradients\(fn, inputs\)"):
        torch_ref.gradcheck((torch.tanh, lambda g: g), X)

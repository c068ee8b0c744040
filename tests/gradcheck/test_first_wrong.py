"""Where a network goes wrong first, from the loss back, by the names of its arrays."""

import pytest

from numpy_nn.gradcheck.explain.first_wrong import _listed, first_wrong
from numpy_nn.gradcheck.report import RIGHT, WRONG, Entry


@pytest.mark.parametrize(("names", "words"), [("a", "a"), ("ab", "a and b"), ("abcd", "a, b, c and d")])
def test_names_are_listed_as_a_sentence_has_them(names, words):
    assert _listed(list(names)) == words


def entries(*names, wrong=()):
    """Entries by name, those in ``wrong`` wrong."""
    return [
        Entry(name, WRONG if name in wrong else RIGHT, (1,), 1, 1, 0, 0, 0, 0.0, None, 0.0, 0.0, 0.0) for name in names
    ]


NAMES = ("input", "layers[0].W", "layers[0].b", "layers[1].W", "layers[1].b")


@pytest.mark.parametrize(
    ("names", "wrong", "sentence"),
    [
        (NAMES, (), ""),
        (("input",), ("input",), ""),
        (("W", "b"), ("W",), ""),
        (
            NAMES,
            ("input", "layers[0].W", "layers[0].b", "layers[1].W"),
            "from the loss back, the first wrong gradient is that of layers[1].W; "
            "what comes after it (layers[0].*, input) can be a consequence",
        ),
        (
            NAMES,
            ("input", "layers[0].b", "layers[1].W", "layers[1].b"),
            "from the loss back, the first wrong gradients are those of layers[1].W and layers[1].b; "
            "what comes after them (layers[0].b, input) can be a consequence",
        ),
        (
            NAMES,
            ("layers[1].W",),
            "from the loss back, the first wrong gradient is that of layers[1].W; "
            "what backward computes after it is right",
        ),
        (
            NAMES,
            ("layers[1].W", "layers[1].b"),
            "from the loss back, the first wrong gradients are those of layers[1].W and layers[1].b; "
            "what backward computes after them is right",
        ),
        (
            NAMES,
            ("input",),
            "from the loss back, the first wrong gradient is that of input; what is nearer to the loss is right",
        ),
        (
            ("W1", "b1", "W2", "b2", "input"),
            ("W1", "b1", "input"),
            "from the loss back, the first wrong gradients are those of W1 and b1; "
            "what comes after them (input) can be a consequence; "
            "if its own formula is right, the gradient that reaches it from the loss is wrong",
        ),
        (
            ("params['W1']", "params['b1']", "params['W2']", "params['b2']"),
            ("params['W1']", "params['W2']"),
            "from the loss back, the first wrong gradient is that of params['W2']; "
            "what comes after it (params['W1']) can be a consequence",
        ),
        (
            ("x", "W[0]", "b[0]", "W[1]", "b[1]"),
            ("b[1]",),
            "from the loss back, the first wrong gradient is that of b[1]; what backward computes after it is right",
        ),
        (
            ("input", "0.weight", "2.weight"),
            ("0.weight", "2.weight"),
            "from the loss back, the first wrong gradient is that of 2.weight; "
            "what comes after it (0.weight) can be a consequence",
        ),
    ],
)
def test_the_first_wrong_gradient_from_the_loss_back_is_named(names, wrong, sentence):
    assert first_wrong(entries(*names, wrong=wrong)) == sentence

"""Names that command lines offer, spelled out, since what they name loads NumPy; tests hold them to the registries."""

ACTIVATIONS = (
    "elu",
    "gelu",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "identity",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "tanh",
)
# What is not elementwise has no place on the page, and these neither: in float64 torch's derivative of hardsigmoid has
# a sixth of float32, which the page would call a disagreement.
NOT_ON_THE_PAGE = frozenset({"hardsigmoid", "log_softmax", "softmax"})

"""torch_ref: the same networks in PyTorch, and the comparison of every number with numpy_nn's."""

from torch_ref.gradcheck import gradcheck, gradgradcheck
from torch_ref.models import ScratchMLP, TorchPerceptron, concise_mlp
from torch_ref.parity import ParityReport, Row
from torch_ref.twin import (
    from_torch,
    loss_to_torch,
    optimizer_settings,
    optimizer_to_torch,
    parameters_as_numpy,
    to_torch,
)
from torch_ref.foreign_parity import Comparison, NetworkReport, compare_networks, parity  # isort: skip

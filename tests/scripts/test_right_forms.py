"""Right code in every form, drawn by chance: what once was not called right stays as an example."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from scripts.proof.forms import FORMS, Draws


@pytest.mark.slow
@pytest.mark.numerical
@pytest.mark.parametrize(
    ("form", "dtype", "seed"),
    [
        ("an_update_with_a_rate_of_its_own", "float64", (0, 561)),  # the step was forgotten while others were tried
        ("columns_and_caches_in_functions", "float32", (0, 601)),  # steps were seen with one array only
        ("a_list_of_layers_with_a_loss", "float32", (0, 987)),  # the same
        ("a_model_whose_gradient_is_that_of_its_one_parameter", "float64", (0, 941)),  # the loss saturates far away
        ("a_network_whose_cost_is_not_written", "float32", (101, 355)),  # the data have the shape of the output
        ("a_list_of_layers_with_a_loss", "float32", (102, 105)),  # steps are not seen where the output saturates
        ("a_recurrent_network", "float32", (102, 202)),  # the same
        ("a_list_of_layers_with_a_loss", "float32", (103, 609)),  # steps hide which way to call the code agrees
        ("a_list_of_layers_with_a_loss", "float64", (301, 4602)),  # all units are off, and zeros fit any way to call it
        ("a_list_of_layers_with_a_loss", "float64", (302, 1428)),  # the same
        ("a_list_of_layers_with_a_loss", "float64", (401, 1014)),  # the same, at more inputs
        ("a_model_whose_gradient_is_that_of_its_one_parameter", "float32", (302, 3980)),  # log(1 - p) in jumps
        ("data_that_the_network_holds", "float64", (1205, 2935)),  # one output of one sample was taken for a loss
        ("steps_after_each_sample", "float32", (1301, 1665)),  # the next layer's input has the shape of a parameter
        ("layers_in_a_list_with_a_learning_rate", "float32", (1301, 7766)),  # the same
        (
            "a_model_that_steps_by_adam",
            "float32",
            (2401, 1175),
        ),  # a gradient as small as the epsilon hid the steps' length
        ("a_perceptron_that_errs", "float64", (2502, 13)),  # at weights of 0 it steps as the squared error's gradient
        ("a_loss_whose_names_do_not_tell_the_target", "float32", (1301, 677)),  # a small probability beside large ones
    ],
)
def test_what_was_once_not_called_right_is(form, dtype, seed):
    arguments, named, _ = FORMS[form](Draws(np.random.default_rng(seed), dtype), 1.0)
    report = check_gradients(*arguments, **named)
    # What float32 hides hangs on the last bits of the library that computes it.
    assert report.verdict in (("right",) if dtype == "float64" else ("right", "close", "undecided")), report

"""Sequential and MLP: one vector of parameters, views into it, ownership of arrays, and no allocation in the loop."""

import copy
import tracemalloc
from typing import Any

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn
from torch_ref import to_torch


def problem(net, n, dtype, seed):
    """A batch for a network of `strategies.networks`, with labels."""
    width = our.in_features(net)
    rng = np.random.default_rng(seed)
    classes = net.output_shape((width,))[0]
    return rng.standard_normal((n, width)).astype(dtype), rng.integers(0, classes, n)


@given(data=st.data(), dtype=our.dtypes)
def test_parameters_are_views_into_one_vector_in_order(data, dtype):
    net = data.draw(our.networks(dtype, 4))
    vector, start = net.parameters(), 0
    vector.data[...] = np.arange(vector.size)
    vector.grad[...] = -np.arange(vector.size)
    for _, p in net.named_parameters():
        np.testing.assert_array_equal(p.data.ravel(), np.arange(start, start + p.size))
        np.testing.assert_array_equal(p.grad.ravel(), -np.arange(start, start + p.size))
        start += p.size
    assert start == vector.size == sum(p.size for p in vector)
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            assert layer.weight.shape == (layer.in_features, layer.out_features)
            assert np.shares_memory(layer.weight.data, vector.data)
            assert np.shares_memory(layer.weight.grad, vector.grad)
        if isinstance(layer, nn.Sequential) and layer.parameters().size:
            assert np.shares_memory(layer.parameters().data, vector.data)
    assert [name for name, _ in net.named_parameters()] == [name for name, _ in to_torch(net).named_parameters()]


@given(data=st.data(), n=our.rows, dtype=our.dtypes)
def test_backward_parameters_writes_the_gradients_that_backward_writes(data, n, dtype):
    net = data.draw(our.networks(dtype, n))
    x, y = problem(net, n, dtype, data.draw(our.seeds))
    loss = nn.CrossEntropyLoss()
    loss(net(x), y)
    g = loss.backward()
    assert net.backward(g).shape == x.shape
    full = net.parameters().grad.copy()
    net.parameters().grad.fill(np.nan)
    net.backward_parameters(g)
    np.testing.assert_array_equal(net.parameters().grad, full)


def test_a_network_without_parameters_has_none_to_write():
    net = nn.Sequential(nn.Flatten(), nn.ReLU())
    net.backward_parameters(np.ones_like(net(np.ones((2, 3)))))
    assert len(net.parameters()) == 0


@given(data=st.data(), n=our.rows, dtype=our.dtypes, batch_size=st.integers(1, 64))
def test_predict_is_evaluation_mode_and_its_result_is_the_callers(data, n, dtype, batch_size):
    net = data.draw(our.networks(dtype, n))
    # Without running statistics BatchNorm1d mixes the rows of a batch in any mode.
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d) and layer.running_mean is None:
            return
    x, _ = problem(net, n, dtype, data.draw(our.seeds))
    modes = [layer.training for layer in net.modules()]
    before = x.copy()
    first = net.predict(x, batch_size)
    kept = first.copy()
    net.predict(np.zeros_like(x), batch_size)
    with net.evaluating():
        net(x)
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(x, before)
    assert [layer.training for layer in net.modules()] == modes
    first += 1.0
    np.testing.assert_array_equal(net.predict(x, batch_size), kept)
    # To the last bit: as many rows at a time are summed in the same order.
    with np.errstate(all="ignore"):
        batches = [net.eval()(x[start : start + batch_size]).copy() for start in range(0, n, batch_size)]
    np.testing.assert_array_equal(kept, np.concatenate(batches))


def test_predict_asks_for_a_new_forward_before_backward():
    net = nn.MLP([3, 2], rng=0)
    x = np.ones((4, 3), np.float32)
    output = net(x)
    net.predict(x)
    with pytest.raises(ValueError, match="Sequential: backward needs a forward call"):
        net.backward(output)


FEW, HALF, MANY = 64, 512, 1024


@our.fewer(0.6)
@given(data=st.data(), dtype=our.dtypes)
def test_a_training_step_allocates_no_array_after_warm_up(data, dtype):
    net = data.draw(our.networks(dtype, MANY)).train()
    x, _ = problem(net, MANY, dtype, data.draw(our.seeds))
    shape = MANY, net.output_shape((x.shape[1],))[0]
    loss, y = data.draw(
        st.sampled_from(
            [
                (nn.CrossEntropyLoss(), np.zeros(MANY, np.int64)),
                (nn.CrossEntropyLoss(label_smoothing=0.1), np.zeros(MANY, np.int64)),
                (nn.MSELoss(), np.zeros(shape, dtype)),
                (nn.BCEWithLogitsLoss(), np.zeros(shape, dtype)),
                (nn.PerceptronLoss(), np.ones(shape, np.int64)),
            ]
        )
    )
    optimizer = data.draw(our.optimizers(net.parameters()))

    def peak(rows):
        """The most memory that three steps take beyond what is held before them: of two tries the less.

        Whatever else takes memory in this process only adds to it.
        """
        batch = x[:rows], y[:rows]
        # A ufunc that broadcasts has a buffer of up to this many elements, whatever the size of its arrays.
        usual = np.setbufsize(16)
        taken = []
        with np.errstate(all="ignore"):
            nn.train_step(net, loss, optimizer, *batch)
            for _ in range(2):
                tracemalloc.start()
                before, _ = tracemalloc.get_traced_memory()
                for _ in range(3):
                    nn.train_step(net, loss, optimizer, *batch)
                _, most = tracemalloc.get_traced_memory()
                tracemalloc.stop()
                taken.append(most - before)
        np.setbufsize(usual)
        return min(taken)

    # NumPy reports its arrays to tracemalloc. Two are the caller's: the output, and the gradient with respect to it.
    # With both batches they outweigh Python's own small change (views, floats, frames), which is then the same for
    # both; the smallest array with an entry for each row would show as 4 bytes for each row more.
    handed_out = 2 * net.output_shape((x.shape[1],))[0] * x.itemsize
    assert peak(MANY) - peak(HALF) < (4 + handed_out) * (MANY - HALF)
    # And no array of the parameters' size: the vector alone would be.
    assert peak(FEW) < 16384 + handed_out * FEW or peak(FEW) < net.parameters().data.nbytes / 2


@given(data=st.data(), dtype=our.dtypes)
def test_outputs_keep_the_dtype_all_through(data, dtype):
    net = data.draw(our.networks(dtype, 8))
    x, y = problem(net, 8, dtype, 0)
    loss = nn.CrossEntropyLoss()
    output = net(x)
    loss(output, y)
    assert output.dtype == loss.backward().dtype == net.backward(loss.backward()).dtype == dtype
    assert net.parameters().data.dtype == net.parameters().grad.dtype == net.predict(x).dtype == dtype


def test_the_same_seed_gives_the_same_network_rounded_in_float32():
    double = nn.MLP([5, 4, 3], rng=7, dtype=np.float64).parameters().data
    np.testing.assert_array_equal(nn.MLP([5, 4, 3], rng=7).parameters().data, double.astype(np.float32))


def test_a_layer_stands_in_one_place_of_a_network():
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"layer 1, Linear\(.*\), is layer 0 already"):
        nn.Sequential(layer, layer)
    with pytest.raises(ValueError, match=r"layer 1.1, Linear\(.*\), is layer 0 already"):
        nn.Sequential(layer, nn.Sequential(nn.ReLU(), layer))


def test_a_refused_network_leaves_its_layers_free():
    layer = nn.Linear(2, 2)
    with pytest.raises(TypeError, match="expected one dtype, got float32, float64"):
        nn.Sequential(layer, nn.Linear(2, 2, dtype=np.float64))
    assert nn.Sequential(layer).parameters().size == 6


@pytest.mark.parametrize("thing", [np.tanh, "relu", nn.ReLU, None])
def test_only_layers_make_a_network(thing):
    with pytest.raises(TypeError, match="Sequential: expected layers"):
        nn.Sequential(nn.Linear(2, 2), thing)


def test_errors_name_the_place_in_the_network():
    net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    with pytest.raises(
        ValueError, match=r"^layer 1.1, Linear\(4, 2\): expected input of shape \(batch, 4\), got \(2, 3\)"
    ):
        net(np.ones((2, 3), np.float32))


def test_a_network_reads_as_a_sequence_of_its_layers():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    assert len(net) == 2
    assert list(net) == [net[0], net[1]]
    assert isinstance(net[-1], nn.ReLU)


@given(data=st.data(), dtype=our.dtypes)
def test_repr_is_torchs(data, dtype):
    sizes = data.draw(st.lists(st.integers(1, 9), min_size=2, max_size=5))
    net = nn.MLP(sizes, data.draw(st.sampled_from(["relu", "tanh", "sigmoid", "silu"])), dtype=dtype)
    assert repr(net) == repr(to_torch(net))
    assert repr(nn.Sequential()) == "Sequential()"


def test_summary_counts_and_shapes():
    net = nn.Sequential(nn.Flatten(), nn.MLP([784, 64], batch_norm=True), nn.Linear(64, 10, bias=False))
    assert net.summary((1, 28, 28)).splitlines() == [
        "     layer       output shape        parameters",
        "     input       (batch, 1, 28, 28)",
        "(0)  Flatten     (batch, 784)                 0",
        "(1)  Sequential  (batch, 64)             50,240",
        "(2)  Linear      (batch, 10)                640",
        "     total                               50,880",
    ]
    assert nn.MLP([3, 2]).summary() == nn.MLP([3, 2]).summary((3,))
    with pytest.raises(ValueError, match="summary: expected input_shape"):
        nn.Sequential(nn.ReLU()).summary()


@given(
    sizes=st.lists(st.integers(1, 9), min_size=2, max_size=6),
    activation=st.sampled_from(sorted(nn.ACTIVATION_LAYERS)),
    batch_norm=st.booleans(),
    dropout=st.sampled_from([0.0, 0.3]),
    bias=st.booleans(),
    dtype=our.dtypes,
)
def test_mlp_builds_what_it_says(sizes, activation, batch_norm, dropout, bias, dtype):
    net = nn.MLP(sizes, activation, batch_norm=batch_norm, dropout=dropout, bias=bias, rng=0, dtype=dtype)
    hidden = [
        nn.Linear,
        *[nn.BatchNorm1d] * batch_norm,
        nn.ACTIVATION_LAYERS[activation],
        *[nn.Dropout] * (dropout > 0),
    ]
    assert [type(layer) for layer in net] == hidden * (len(sizes) - 2) + [nn.Linear]
    linear = [layer for layer in net if isinstance(layer, nn.Linear)]
    assert [linear[0].in_features] + [layer.out_features for layer in linear] == sizes
    assert all((layer.bias is not None) == bias for layer in linear)
    assert net.parameters().dtype == dtype


def test_mlp_takes_an_initializer_and_a_maker_of_layers():
    net = nn.MLP([3, 4, 2], lambda: nn.LeakyReLU(0.3), init=lambda w, rng: nn.initializers.normal_(w, std=0.0, rng=rng))
    assert repr(net[1]) == "LeakyReLU(negative_slope=0.3)"
    assert not np.any(net[0].weight.data)
    assert np.any(net[0].bias.data)


@pytest.mark.parametrize(
    ("sizes", "options", "error", "message"),
    [
        ([3], {}, ValueError, r"sizes: expected at least two, an input and an output, got \[3\]"),
        ([3, 0], {}, ValueError, r"sizes\[1\]: expected an integer >= 1, got 0"),
        ([3, 2.0], {}, TypeError, r"sizes\[1\]: expected an integer"),
        ([3, 4, 2], {"activation": "swish"}, ValueError, "activation: expected one of .*'relu'.*, got 'swish'"),
        ([3, 4, 2], {"dropout": 2.0}, ValueError, "p: expected"),
        ([3, 2], {"dtype": int}, TypeError, "dtype: expected float32 or float64"),
    ],
)
def test_mlp_names_what_is_wrong(sizes, options, error, message):
    with pytest.raises(error, match=message):
        nn.MLP(sizes, **options)


def test_predict_refuses_what_forward_refuses_and_a_batch_of_nothing():
    net = nn.MLP([3, 2])
    with pytest.raises(ValueError, match="at least one row"):
        net.predict(np.ones((0, 3), np.float32))
    with pytest.raises(ValueError, match="batch_size: expected an integer >= 1, got 0"):
        net.predict(np.ones((2, 3), np.float32), 0)
    with pytest.raises(TypeError, match="float32"):
        net.predict(np.ones((2, 3)))
    assert net.training


def test_a_parameter_reads_as_its_array():
    p = nn.Linear(2, 3, rng=0).weight
    assert np.asarray(p) is p.data
    assert repr(p) == "Parameter(shape=(2, 3), dtype=float32)"
    assert np.array(p, dtype=np.float64).dtype == np.float64
    vector = nn.MLP([2, 3]).parameters()
    assert repr(vector) == "ParameterVector(2 parameters, 9 scalars, dtype=float32)"
    assert vector[0].shape == (2, 3)


@given(array=our.float_arrays(our.shapes, np.float64))
def test_a_parameter_keeps_an_array_that_an_optimizer_can_walk_and_copies_any_other(array):
    p = nn.Parameter(array)
    np.testing.assert_array_equal(p.data, array)
    assert p.data.flags.c_contiguous
    assert p.data.flags.writeable
    assert (p.data is array) == (array.flags.c_contiguous and array.flags.writeable)


@pytest.mark.parametrize("data", [[1], np.ones(2, object), np.ones(2, ">f4"), np.ones(2, np.float16)])
def test_a_parameter_of_another_dtype_is_refused(data):
    with pytest.raises(TypeError, match="Parameter: data: expected an array of float32 or float64"):
        nn.Parameter(data)


def test_an_integer_array_for_a_parameter_is_refused_with_a_remedy_that_works():
    p = nn.Parameter(np.zeros(3))
    with pytest.raises(TypeError, match=r"float64, got int64; convert it with .astype\(numpy.float64\)$"):
        setattr(p, "data", np.arange(3))  # noqa: B010
    remedy = r"it with .astype\(numpy.float64\), or the whole network with .to\(numpy.float32\)$"
    with pytest.raises(TypeError, match=remedy):
        p.data = np.zeros(3, np.float32)


@pytest.mark.parametrize("activation", [nn.PReLU, nn.PReLU(), "prelu"], ids=["class", "layer", "name"])
def test_the_activation_of_an_mlp_has_its_dtype(activation):
    net = nn.MLP([2, 3, 1], activation=activation, rng=0, dtype=np.float64)
    assert net(np.ones((4, 2))).dtype == np.float64
    assert {p.dtype for p in net.parameters()} == {np.dtype(np.float64)}


@pytest.mark.parametrize("activation", [np.tanh, nn.activations.relu])
def test_a_function_as_the_activation_of_an_mlp_is_refused(activation):
    with pytest.raises(TypeError, match="activation: expected a name, a layer or what makes a layer"):
        nn.MLP([2, 3, 1], activation=activation)


def test_of_an_activation_that_is_a_layer_each_place_has_a_whole_copy():
    own = nn.PReLU(3, init=0.5, dtype=np.float64)
    net = nn.MLP([2, 3, 3, 1], activation=own, rng=0)
    weights = [net[1].weight, net[3].weight]
    assert all(weight.dtype == np.float32 for weight in weights)
    net[1].weight.data[...] = 7.0
    assert own.weight.data.tolist() == net[3].weight.data.tolist() == [0.5] * 3
    assert own.weight.dtype == np.float64


def test_what_makes_no_layer_is_no_activation():
    makes_a_number: Any = int
    with pytest.raises(TypeError, match="got int"):
        nn.MLP([2, 3, 1], activation=makes_a_number)


def modules_of(net):
    return [type(module).__name__ for module in net.modules()]


def test_a_walk_is_not_repeated_and_sees_every_change():
    net = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.ReLU()))
    assert modules_of(net) == ["Sequential", "Linear", "Sequential", "ReLU"] == modules_of(net)
    first = vars(net)["_walk_before"]
    net.eval()
    list(net.modules())
    assert vars(net)["_walk_before"] is first
    net[1][0] = nn.Tanh()
    assert modules_of(net) == ["Sequential", "Linear", "Sequential", "Tanh"]
    net[1].beside = nn.Sigmoid()
    assert modules_of(net)[-1] == "Sigmoid"
    del net[1].beside
    assert modules_of(net)[-1] == "Tanh"
    pairs = list(zip(copy.deepcopy(net).modules(), net.modules(), strict=True))
    assert len(pairs) == 4
    assert all(copied is not own for copied, own in pairs)


def test_layers_in_lists_and_of_classes_that_find_their_own_are_looked_for_each_time():
    class Blocks(nn.Layer):
        def __init__(self):
            super().__init__()
            self.blocks = [nn.ReLU()]

    class Found(nn.Layer):
        def named_children(self):
            return iter(own)

    blocks, own = Blocks(), [("0", nn.ReLU())]
    for net, layers in ((nn.Sequential(blocks), blocks.blocks), (nn.Sequential(Found()), own)):
        assert len(list(net.modules())) == 3
        layers.append(nn.Tanh() if layers is blocks.blocks else ("1", nn.Tanh()))
        assert len(list(net.modules())) == 4
        net.eval()
        assert not any(module.training for module in net.modules())

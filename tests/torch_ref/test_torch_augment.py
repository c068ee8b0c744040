"""Distortion in torch: from the same numbers the same images as numpy_nn's, and numbers of the same distribution."""

import math

import numpy as np
import pytest
import strategies as our
import torch
from distortions import SETTINGS, distance, roundoff, sampled
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.utils._python_dispatch import TorchDispatchMode

from numpy_nn._support.workspace import Workspace
from numpy_nn.data import augment
from torch_ref.augment import Distortion, affine_coordinates, affine_matrices, gaussian_matrix, resample, smooth
from torch_ref.resume import TrainingState

# Whatever is here; a machine with CUDA tests both.
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()

stacks = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=12)


@given(data=st.data(), dtype=our.dtypes, shape=stacks, fill=st.sampled_from([0.0, -0.4242, 3.0]))
def test_resampling_is_numpy_nns(data, dtype, shape, fill):
    images = data.draw(our.float_arrays(shape, dtype))
    sizes = np.array([shape[2], shape[1]])[:, None, None, None]
    rng = np.random.default_rng(data.draw(our.seeds))
    field = (rng.uniform(-3.0, 3.0 + sizes, (2, *shape))).astype(dtype)
    whole = rng.random((2, *shape)) < 0.2  # where the two sides of an interpolation meet
    field[whole] = np.round(field[whole])
    theirs = resample(torch.tensor(images.copy()), torch.tensor(field), fill=fill)
    ours = augment.resample(images, field.copy(), fill=fill, out=np.empty(shape, dtype), work=Workspace())
    # Ours: adding 1. Theirs: the field becomes a grid in four roundings, and grid_sample makes four more of it. The
    # fill is one more pixel for the interpolation, and two more roundings, of numbers below both together.
    largest = np.append(images.reshape(-1), [np.abs(images).max() + abs(fill)]).astype(dtype)
    bound = distance(largest, field, 1, 8) + 4 * roundoff(dtype) * largest[-1]
    assert np.abs(ours - theirs.numpy()).max() <= bound


def numbers(n, rng):
    """Angles, scales, shears and shifts."""
    return rng.uniform(-180, 180, n), rng.uniform(0.5, 2, (n, 2)), rng.uniform(-1, 1, n), rng.uniform(-4, 4, (n, 2))


@given(n=st.integers(1, 9), seed=our.seeds)
def test_affine_maps_are_numpy_nns(n, seed):
    drawn = numbers(n, np.random.default_rng(seed))
    ours = augment.affine_matrices(*drawn)
    theirs = affine_matrices(*map(torch.from_numpy, drawn)).numpy()
    # The rows of M^-1 sum to at most 2 sqrt(2) + 2 sqrt(2) < 6, so that the shifts are below 24. The angle in radians,
    # below 4, rounds twice; sine and cosine are good to 4 units in the last place, 8 roundings; then there are a
    # quotient, a product and a sum, and for the shift two products and a sum.
    assert np.abs(ours - theirs).max() <= 1.01 * 2 * 24 * (2 * 4 + 8 + 3 + 3) * 2.0**-53


@given(data=st.data(), dtype=our.dtypes, shape=stacks, sigma=st.floats(0.2, 8.0))
def test_smoothing_is_numpy_nns(data, dtype, shape, sigma):
    noise = data.draw(our.float_arrays((2, *shape), dtype, laid_out=False))
    ours = augment.smooth(noise, sigma, np.empty_like(noise), Workspace())
    theirs = smooth(torch.tensor(noise.copy()), sigma).numpy()
    # Two products by the same matrix, of inner length at most 12 and row sums at most 1, in another order.
    bound = 2 * 1.01 * (12 + 12) * roundoff(dtype) * np.abs(noise).max() + np.finfo(dtype).tiny * 30
    assert np.abs(ours - theirs).max() <= bound


@pytest.mark.parametrize("device", DEVICES)
@given(data=st.data(), dtype=our.dtypes, shape=stacks, seed=our.seeds)
def test_a_distortion_is_numpy_nns_of_the_same_numbers(device, data, dtype, shape, seed):
    images = data.draw(our.float_arrays(shape, dtype))
    settings = {name: value if data.draw(st.booleans()) else 0.0 for name, value in SETTINGS.items() if name != "sigma"}
    sigma = data.draw(st.floats(0.5, 6.0))
    first, second = (Distortion(**settings, sigma=sigma, rng=seed, device=device) for _ in range(2))
    theirs = first(torch.tensor(images.copy(), device=device))

    matrices = second.draw_matrices(shape[0]).cpu().numpy()
    field = augment.affine_coordinates(matrices, np.empty((2, *shape), dtype))
    if settings["alpha"]:
        n, height, width = shape
        noise = second.draw_noise(n, height, width, theirs.dtype).cpu().numpy() * dtype(settings["alpha"])
        field += augment.smooth(noise, sigma, noise, Workspace())
    # Each of ours and theirs: the affine map's three terms and their sum, five; two products by a Gaussian of inner
    # length at most 12; the noise, its sum with the map, and 1 added or the grid made and used, eight.
    terms = np.abs(matrices) @ [shape[2], shape[1], 1.0] + max(shape)
    magnitude = np.maximum(np.abs(field), terms.max() + settings["alpha"])
    error = np.abs(sampled(images, field) - theirs.cpu().numpy())
    assert error.max() <= distance(images, magnitude, 5 + 24 + 2 + 1, 5 + 24 + 2 + 8)
    assert (theirs.dtype, theirs.device.type) == (torch.tensor(images.copy()).dtype, device)


@given(seed=our.seeds, side=st.integers(1, 12), n=st.integers(1, 8))
def test_rows_are_square_images_and_stay_as_they_are(seed, side, n):
    images = torch.rand(n, side, side, generator=torch.Generator().manual_seed(seed))
    rows = images.reshape(n, -1)
    before = rows.clone()
    by_seed, by_generator = (
        Distortion(**SETTINGS, rng=seed),
        Distortion(**SETTINGS, rng=torch.Generator().manual_seed(seed)),
    )
    for _ in range(2):
        expected = by_seed(images)
        assert torch.equal(by_generator(rows).reshape(images.shape), expected)
    assert torch.equal(rows, before)


def test_every_image_and_every_call_is_distorted_in_its_own_way():
    images = torch.rand(1, 9, 7).expand(5, 9, 7)
    distortion = Distortion(**SETTINGS, rng=0)
    results = torch.cat([distortion(images), distortion(images)])
    assert len({image.numpy().tobytes() for image in results}) == 10


@given(shape=stacks, fill=st.floats(-10, 10, width=32), dtype=our.dtypes, seed=our.seeds)
def test_outside_the_image_is_the_fill(shape, fill, dtype, seed):
    constant = torch.tensor(np.full(shape, fill, dtype))
    assert torch.equal(Distortion(**SETTINGS, fill=fill, rng=seed)(constant), constant)
    far = Distortion(shift=1e6, fill=fill, rng=seed)
    matrices = Distortion(shift=1e6, rng=seed).draw_matrices(shape[0])
    gone = matrices[:, 0, 2].abs() > 20
    assert torch.equal(far(constant + 1)[gone], constant[gone])


def test_noise_is_uniform_from_minus_one_to_one():
    distortion = Distortion(alpha=1.0, rng=0)
    for dtype in (torch.float32, torch.float64):
        noise = distortion.draw_noise(20, 28, 28, dtype)
        assert noise.dtype == dtype
        ordered = noise.double().reshape(-1).sort().values
        assert -1 <= ordered[0] < ordered[-1] <= 1
        # Kolmogorov and Smirnov: beyond 1.95 / sqrt(n) once in a thousand; with this seed it is always the same.
        n = len(ordered)
        steps = torch.arange(n + 1) / n
        uniform = (ordered + 1) / 2
        distance = torch.maximum((steps[1:] - uniform).max(), (uniform - steps[:-1]).max())
        assert distance < 1.95 / math.sqrt(n)


def test_draws_keep_within_the_settings_and_reach_near_them():
    matrices = Distortion(rotation=30, scale=0.2, shear=0.3, shift=2.0, rng=0).draw_matrices(4000).numpy()
    forward = np.linalg.inv(matrices[:, :, :2])
    shift = -(forward @ matrices[:, :, 2:])[:, :, 0]
    assert 1.9 < np.abs(shift).max() <= 2.0 + 1e-12
    # M = R S H has the columns scale_x (cos, sin) and scale_y (-sin, cos) - shear times the first.
    angle, scale_x = np.degrees(np.arctan2(forward[:, 1, 0], forward[:, 0, 0])), np.hypot(*forward[:, :, 0].T)
    shear = -(forward[:, :, 0] * forward[:, :, 1]).sum(axis=1) / scale_x**2
    for values, middle, spread in ((angle, 0, 30), (scale_x, 1, 0.2), (shear, 0, 0.3)):
        assert 0.98 * spread < np.abs(values - middle).max() <= spread * (1 + 1e-12)
        # The mean of 4,000 numbers of variance spread^2 / 3, within five standard deviations.
        assert abs(values.mean() - middle) < 5 * spread / math.sqrt(3 * 4000)


class Operations(TorchDispatchMode):
    """Notes every operation of torch."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def test_as_many_operations_whatever_the_number_of_images_and_none_that_asks_for_a_value():
    distortion = Distortion(**SETTINGS, fill=0.5, rng=0)
    noted = []
    for n in (3, 3, 50):  # the first call also makes the matrices that are kept
        with Operations() as operations:
            distortion(torch.zeros(n, 11, 13))
        noted.append(operations.names)
    assert noted[1] == noted[2]
    assert not any("_local_scalar_dense" in name or "nonzero" in name or "lift" in name for name in noted[1])
    assert any("grid_sampler" in name for name in noted[1])
    device = torch.device("cpu")
    assert gaussian_matrix(5, 2.0, torch.float32, device) is gaussian_matrix(5, 2.0, torch.float32, device)


@pytest.mark.parametrize("device", DEVICES)
def test_the_generator_goes_on_from_a_saved_state(device):
    images = torch.rand(4, 6, 5, device=device)
    model = torch.nn.Linear(2, 2, device=device)

    def state(distortion):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return TrainingState(model, optimizer, rngs={"distortion": distortion.rng})

    first, second = Distortion(**SETTINGS, rng=1, device=device), Distortion(**SETTINGS, rng=2, device=device)
    first(images)
    content = state(first).to_bytes()
    expected = first(images)
    state(second).load_bytes(content)
    assert torch.equal(second(images), expected)


def test_coordinates_of_no_distortion_are_the_pixels():
    zero, one = torch.zeros(1), torch.ones(1, 2)
    field = affine_coordinates(affine_matrices(zero, one, zero, torch.zeros(1, 2)), 4, 3, torch.float64)
    assert torch.equal(field[0, 0], torch.arange(3.0).double().expand(4, 3))
    assert torch.equal(field[1, 0], torch.arange(4.0).double()[:, None].expand(4, 3))


def test_it_says_its_settings_and_takes_a_new_seed_from_the_system():
    assert repr(Distortion(**SETTINGS, rng=0)) == repr(augment.Distortion(**SETTINGS, rng=0))
    assert Distortion().rng.initial_seed() != Distortion().rng.initial_seed()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Distortion(rotation=-1), ValueError, "rotation: expected a finite number >= 0 and <= 1e.06, got -1"),
        (lambda: Distortion(scale=1.0), ValueError, "scale: .* < 1, got 1.0"),
        (lambda: Distortion(sigma=0), ValueError, "sigma: expected a finite number <= 1e.06 and > 0"),
        (lambda: Distortion(shift="1"), TypeError, "shift: expected a number, got str '1'"),
        (lambda: Distortion(rng=-1), ValueError, "rng: expected an integer >= 0"),
        (lambda: Distortion(rng=torch.Generator(), device="cuda"), ValueError, "device: .* that of rng, cpu, got cuda"),
        (lambda: Distortion()(np.zeros((2, 4, 4))), TypeError, "images: expected a tensor of float.*, got ndarray"),
        (lambda: Distortion()(torch.zeros(2, 4).half()), TypeError, "images: .*, got torch.float16"),
        (lambda: Distortion()(torch.zeros(2, 5)), ValueError, r"images: expected shape .*side\^2.*got \(2, 5\)"),
        (lambda: Distortion()(torch.zeros(4)), ValueError, r"got \(4,\)"),
        (lambda: Distortion()(torch.zeros(0, 4)), ValueError, "none of them 0"),
        (lambda: Distortion()(torch.zeros(2, 4, device="meta")), ValueError, "images: .* on cpu, .* got one on meta"),
        (lambda: Distortion().draw_matrices(0), ValueError, "n: expected an integer >= 1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()

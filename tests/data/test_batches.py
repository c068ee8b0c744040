"""DataLoader: every row once, in an order that the seed alone decides, without a copy of the data."""

import tracemalloc

import numpy as np
import pytest
import strategies as our
from hypothesis import given
from hypothesis import strategies as st

import numpy_nn as nn


def numbered(n, width=3):
    """Rows that tell their number, and the numbers as labels."""
    return np.arange(n, dtype=np.float32)[:, None] * np.ones(width, np.float32), np.arange(n)


@given(n=st.integers(1, 200), batch_size=st.integers(1, 64), shuffle=st.booleans(), seed=our.seeds)
def test_every_row_comes_once_an_epoch_with_its_label(n, batch_size, shuffle, seed):
    x, y = numbered(n)
    loader = nn.DataLoader(x, y, batch_size, shuffle=shuffle, rng=seed)
    for _ in range(2):
        batches = [(a.copy(), b.copy()) for a, b in loader]
        assert len(batches) == len(loader) == -(-n // batch_size)
        assert [len(a) for a, _ in batches[:-1]] == [batch_size] * (len(batches) - 1)
        for a, b in batches:
            np.testing.assert_array_equal(a[:, 0], b)
        seen = np.concatenate([b for _, b in batches])
        np.testing.assert_array_equal(np.sort(seen), y)
        if not shuffle:
            np.testing.assert_array_equal(seen, y)


@given(n=st.integers(2, 100), batch_size=st.integers(1, 64), seed=our.seeds)
def test_the_seed_alone_decides_the_order_and_indices_tells_it(n, batch_size, seed):
    x, y = numbered(n)
    loader, other = (nn.DataLoader(x, y, batch_size, rng=seed) for _ in range(2))
    epochs = []
    for _ in range(3):
        rows = [np.array(row) for row in other.indices()]
        labels = [b.copy() for _, b in loader]
        assert len(rows) == len(labels)
        for row, label in zip(rows, labels, strict=True):
            np.testing.assert_array_equal(row, label)
        epochs.append(np.concatenate(labels))
    if n > 20:  # one chance in 20! that two epochs have one order
        assert not np.array_equal(epochs[0], epochs[1])


@given(n=st.integers(1, 40), batch_size=st.integers(1, 16), shuffle=st.booleans(), seed=our.seeds)
def test_a_transform_gets_each_batch_and_its_result_takes_the_place(n, batch_size, shuffle, seed):
    x, y = numbered(n, 9)
    plain, distorted = (
        nn.DataLoader(x, y, batch_size, shuffle=shuffle, rng=seed, transform=transform)
        for transform in (None, nn.Distortion(rotation=30, alpha=5, rng=seed))
    )
    same = nn.Distortion(rotation=30, alpha=5, rng=seed)
    for (a, b), (c, d) in zip(plain, distorted, strict=True):
        np.testing.assert_array_equal(c, same(a))
        np.testing.assert_array_equal(b, d)
    np.testing.assert_array_equal(x, numbered(n, 9)[0])


@given(n=st.integers(1, 100), batch_size=st.integers(1, 64))
def test_drop_last_leaves_out_what_does_not_fill_a_batch(n, batch_size):
    x, y = numbered(n)
    if n < batch_size:
        with pytest.raises(ValueError, match=f"drop_last: leaves no batch of {batch_size} out of {n} rows"):
            nn.DataLoader(x, y, batch_size, drop_last=True)
        return
    loader = nn.DataLoader(x, y, batch_size, drop_last=True, rng=0)
    assert [len(a) for a, _ in loader] == [batch_size] * (n // batch_size) == [batch_size] * len(loader)


def test_by_default_batches_of_64_in_a_random_order_and_what_is_left():
    x = np.arange(130)
    batches = [(a.copy(), b.copy()) for a, b in nn.DataLoader(x, -x)]
    assert [len(a) for a, _ in batches] == [64, 64, 2]
    drawn = np.concatenate([a for a, _ in batches])
    np.testing.assert_array_equal(drawn, -np.concatenate([b for _, b in batches]))
    assert not np.array_equal(drawn, x)  # but for one chance in 130!
    np.testing.assert_array_equal(np.sort(drawn), x)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_is_the_callers(shuffle):
    x, y = numbered(10)
    before = x.copy(), y.copy()

    def halve(a):
        a //= 2
        return a

    loader = nn.DataLoader(x, y, 4, shuffle=shuffle, rng=0, transform=halve)
    batches = list(loader)
    for a, b in batches:
        np.testing.assert_array_equal(a, before[0][b] // 2)
        b[...] = -1
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])
    assert not any(np.shares_memory(a, other) for a, _ in batches[:1] for other, _ in batches[1:])


def test_the_data_set_is_never_copied():
    x, y = np.zeros((20_000, 100), np.float32), np.zeros(20_000, np.int64)
    loader = nn.DataLoader(x, y, 64, rng=0)
    tracemalloc.start()
    for _ in loader:
        pass
    _, peak = tracemalloc.get_traced_memory()
    # The order, 8 bytes a row and as much again to make it, and one batch; the data have 8 MB.
    assert peak < 2 * 8 * len(x) + 64 * 100 * 4 + 50_000
    tracemalloc.stop()


@given(data=st.data(), n=st.integers(1, 30))
def test_any_memory_layout_is_read_right_and_left_alone(data, n):
    x = data.draw(our.float_arrays((n, 4), np.float32))
    before = x.copy()
    y = np.arange(n)
    y.setflags(write=False)
    for a, b in nn.DataLoader(x, y, 7, rng=0):
        np.testing.assert_array_equal(a, before[b])
        a += 1
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: nn.DataLoader(np.zeros((3, 2)), np.zeros(2)),
            ValueError,
            r"equally many rows, .* got \(3, 2\), \(2,\)",
        ),
        (lambda: nn.DataLoader(np.zeros((0, 2)), np.zeros(0)), ValueError, "at least one"),
        (lambda: nn.DataLoader(np.zeros(()), np.zeros(())), ValueError, "equally many rows"),
        (lambda: nn.DataLoader(np.zeros(()), np.zeros(1)), ValueError, r"equally many rows, .* got \(\), \(1,\)"),
        (lambda: nn.DataLoader(np.zeros(1), np.zeros(())), ValueError, r"equally many rows, .* got \(1,\), \(\)"),
        (lambda: nn.DataLoader(np.zeros((3, 2)), np.zeros(3), 0), ValueError, "batch_size: expected an integer >= 1"),
        (lambda: nn.DataLoader(np.zeros((3, 2)), np.zeros(3), 1.5), TypeError, "batch_size: expected an integer"),
        (lambda: nn.DataLoader(np.zeros((3, 2)), np.zeros(3), rng="x"), TypeError, "rng"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()

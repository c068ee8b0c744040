"""Recorded arrays: what is done with them can be done again, or is refused."""

import numpy as np
import pytest

from numpy_nn.training.recording import (
    Batch,
    Deviation,
    NotRecordable,
    OfBatch,
    Recorded,
    Recording,
    of_plan,
    operation,
    plain,
    untold,
)


def run(recording, x):
    batch = Batch()
    batch.x = x
    for one in recording.operations:
        one.bound(batch)()


def numbers(*shape):
    return np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)


@pytest.mark.parametrize(
    "compute",
    [
        lambda x, w, out: np.matmul(x, w, out=out),
        lambda x, w, out: np.dot(x, w, out=out),
        lambda x, w, out: np.copyto(out, np.dot(x, w) * 2.0 + 1),
        lambda x, w, out: np.maximum(x @ w, 50, out=out),
        lambda x, w, out: np.clip(x @ w, 30.0, 50.0, out=out),
        lambda x, w, out: np.copyto(out, (x.T.reshape(3, 2).T[:, ::-1]) @ w),
        lambda x, w, out: np.copyto(out, x.mean(axis=1, keepdims=True) + x.max() + np.sum(w) + x.copy()[0, :2]),
        lambda _x, _w, out: out.fill(3.0),
        lambda x, w, out: out.reshape(-1).__setitem__(np.array([1, 3]), (x @ w).reshape(-1).take([0, 2])),
        lambda x, _w, out: x.take(np.arange(4).reshape(2, 2), out=out, mode="clip"),
    ],
)
def test_what_was_done_is_done_again_with_another_batch(compute):
    recording, w, out = Recording(), numbers(3, 2), np.zeros((2, 2))
    compute(recording.array(numbers(2, 3), "x", OfBatch()), recording.array(w, "w"), recording.array(out, "out"))
    expected, other = np.zeros((2, 2)), numbers(2, 3) ** 2
    compute(other, w, expected)
    run(recording, other)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize(
    "compute",
    [
        float,
        int,
        list,
        lambda x: x.item(),
        lambda x: x.tolist(),
        lambda x: x.astype(np.float32),
        lambda x: x.nonzero(),
        lambda x: x[np.array([0])],
        lambda x: x.ravel(),
        lambda x: np.where(x > 0, x, 0.0),
        lambda x: np.concatenate([x, x]),
        lambda x: np.modf(x),
        lambda x: np.add.accumulate(x),
        lambda x: 1.0 in x,
        lambda x: x.reshape(-1, order="F"),
        lambda x: x.view(dtype=np.int64),
        lambda x: np.ndarray.__getitem__(x, np.s_[:]) + 1.0,
    ],
)
def test_what_could_not_be_done_again_is_refused(compute):
    x = Recording().array(np.ones(1), "x", OfBatch())
    with pytest.raises(NotRecordable):
        compute(x)


def test_a_copy_that_reshape_makes_is_refused():
    with pytest.raises(NotRecordable, match="copies"):
        Recording().array(numbers(2, 3), "w").T.reshape(-1)


def test_a_choice_has_to_come_out_alike():
    recording = Recording()
    x = recording.array(numbers(3), "x", OfBatch())
    if x.max() > 2.0:
        np.multiply(x, 2.0)
    run(recording, numbers(3) + 1.0)
    with pytest.raises(Deviation):
        run(recording, numbers(3) - 5.0)


def test_an_operation_is_done_as_quietly_as_it_was():
    recording = Recording()
    x = recording.array(numbers(3), "x", OfBatch())
    with untold(), np.errstate(divide="ignore"):
        np.divide(1.0, x)
    with np.errstate(all="raise"):
        run(recording, np.zeros(3))
    with untold():
        np.multiply(x, 1e306)
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        run(recording, 100.0 * numbers(3))


def test_a_number_that_its_type_cannot_hold_stays_a_python_number():
    recording, y = Recording(), np.array([1, 2], np.uint8)
    assert not (recording.array(y, "y") >= 300).any()
    np.multiply(recording.array(y, "y"), 300, dtype=np.intp)
    run(recording, y)


def test_views_of_the_batch_are_kept_as_what_makes_them():
    x = Recording().array(numbers(2, 3), "x", OfBatch())
    kept = of_plan((x.T, 3, np.ones(2)))
    np.testing.assert_array_equal(kept[0].of(numbers(4, 5)), numbers(4, 5).T)
    assert kept[1] == 3
    assert type(plain((x,))[0]) is np.ndarray
    assert isinstance(x.T, Recorded)


@operation
def doubled(times, x, out):
    """Twice the array, after a note of it."""
    times.append(1)
    return np.multiply(x, 2.0, out=out)


@pytest.mark.parametrize("is_recorded", [True, False])
def test_a_function_may_be_one_operation_whatever_it_does(is_recorded):
    recording, out = Recording(), np.zeros((2, 3))
    times: list[int] = []
    x = recording.array(numbers(2, 3), "x", OfBatch())
    made = doubled(times, x, out=recording.array(out, "out") if is_recorded else out)
    np.copyto(recording.array(total := np.zeros((2, 3)), "total"), made + 1.0)
    assert [one.words.split("(")[0] for one in recording.operations] == ["doubled", "add", "copyto"]
    assert recording.operations[1].words.startswith("add(out," if is_recorded else "add(doubled,")
    run(recording, -numbers(2, 3))
    assert len(times) == 2
    np.testing.assert_array_equal(out, -2.0 * numbers(2, 3))
    np.testing.assert_array_equal(total, 1.0 - 2.0 * numbers(2, 3))


def test_of_plain_arrays_it_is_the_function_itself():
    out = np.zeros((2, 3))
    assert doubled([], numbers(2, 3), out=out) is out
    np.testing.assert_array_equal(out, 2.0 * numbers(2, 3))
    assert doubled.__name__ == "doubled"

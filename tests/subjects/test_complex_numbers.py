"""Complex numbers: refused as what is differentiated, with the lines that check them; passed on as settings."""

import numpy as np
import pytest

from numpy_nn.gradcheck import check_gradients
from numpy_nn.gradcheck.report import RIGHT, WRONG

rng = np.random.default_rng(0)
X, FILTER = rng.standard_normal(8), np.fft.fft(rng.standard_normal(8))
Z = X + 1j * rng.standard_normal(8)


def power(z):
    return np.abs(z) ** 2


def power_backward(grad, z):
    return 2 * grad * z


def test_a_complex_input_is_refused_with_lines_that_check_it():
    with pytest.raises(TypeError, match=r"(?s)got an array of complex128.*real and imaginary.*z\.real, z\.imag"):
        check_gradients((power, power_backward), Z)

    def vjp(grad_output, a, b):
        grad = power_backward(grad_output, a + 1j * b)
        return grad.real, grad.imag

    assert check_gradients((lambda a, b: power(a + 1j * b), vjp), (Z.real, Z.imag)).ok


def test_a_complex_gradient_is_refused():
    with pytest.raises(TypeError, match="expected a gradient of real numbers"):
        check_gradients((lambda z, w: power(z * w), lambda g, z, w: 2 * g * w * z), (Z, X))


@pytest.mark.parametrize(("conjugate", "verdict"), [(np.conj, RIGHT), (np.asarray, WRONG)])
def test_what_an_inverse_fft_leaves_of_an_imaginary_part_is_none(conjugate, verdict):
    def blur(x, H):
        return np.fft.ifft(np.fft.fft(x) * H).real

    def blur_backward(grad, *given):
        return np.fft.ifft(np.fft.fft(grad) * conjugate(given[1]))

    assert check_gradients((blur, blur_backward), (X, FILTER)).verdict == verdict

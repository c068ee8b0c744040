"use strict";
// The formulas of numpy_nn/activations/elementwise.py for one number at a time: the value and the derivative of every
// activation that works entry by entry, with the same care for large arguments. `options` are the layer's, as recorded.

const range = (n) => Array.from({ length: n }, (_, i) => i);

const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);

// term(0) + ... + term(n - 1), in this order.
function sumOf(n, term) {
  let total = 0;
  for (let k = 0; k < n; k += 1) total += term(k);
  return total;
}

const arithmetic = (() => {
  const sigmoid = (x) => Math.exp(Math.min(x, 0)) / (1 + Math.exp(-Math.abs(x)));

  const sigmoidDerivative = (x) => {
    const e = Math.exp(-Math.abs(x));
    return e / (1 + e) ** 2;
  };

  const softplus = (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

  const hardsigmoid = (x) => Math.min(Math.max(x + 3, 0), 6) / 6;

  const step = (x) => (x > 0 ? 1 : 0);

  const twoSlopes = (x, slope) => Math.max(x, 0) + slope * Math.min(x, 0);

  const twoSlopesDerivative = (x, slope) => (x > 0 ? 1 : slope);

  // Klambauer et al., "Self-Normalizing Neural Networks" (2017), eq. 14.
  const SELU_ALPHA = 1.6732632423543772;
  const SELU_SCALE = 1.0507009873554805;

  const elu = (x, alpha) => Math.max(x, 0) + alpha * Math.expm1(Math.min(x, 0));

  const eluDerivative = (x, alpha) => (x > 0 ? 1 : alpha * Math.exp(x));

  const normalDensity = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);

  // Phi(x). Near 0 the series 1/2 + phi(x) (x + x^3/3 + x^5/(3 5) + ...), Abramowitz and Stegun 26.2.11; in the tails
  // phi(x) / (x + 1/(x + 2/(x + 3/(x + ...)))), 26.2.14, where the series would cancel.
  function normalDistribution(x) {
    const t = Math.abs(x);
    let tail;
    if (t < 4) {
      let term = t;
      let series = 0;
      for (let k = 1; series + term !== series; k += 1) {
        series += term;
        term *= (t * t) / (2 * k + 1);
      }
      tail = 0.5 - normalDensity(t) * series;
    } else {
      let fraction = t;
      for (let k = 60; k > 0; k -= 1) fraction = t + k / fraction;
      tail = normalDensity(t) / fraction;
    }
    return x > 0 ? 1 - tail : tail;
  }

  // Hendrycks and Gimpel, "Gaussian Error Linear Units" (2016), section 2: w(x) of the tanh form, and its derivative.
  const geluArgument = (x) => 2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3);
  const geluArgumentDerivative = (x) => 2 * Math.sqrt(2 / Math.PI) * (1 + 3 * 0.044715 * x ** 2);

  const activations = {
    identity: { value: (x) => x, derivative: () => 1 },
    sigmoid: { value: sigmoid, derivative: sigmoidDerivative },
    tanh: {
      value: Math.tanh,
      derivative: (x) => 4 * sigmoidDerivative(2 * x),
    },
    relu: { value: (x) => Math.max(x, 0), derivative: step },
    leaky_relu: {
      value: (x, options) => twoSlopes(x, options.negative_slope),
      derivative: (x, options) => twoSlopesDerivative(x, options.negative_slope),
    },
    // Its slope is learned: the caller hands it over as options.weight.
    prelu: {
      value: (x, options) => twoSlopes(x, options.weight),
      derivative: (x, options) => twoSlopesDerivative(x, options.weight),
    },
    elu: {
      value: (x, options) => elu(x, options.alpha ?? 1),
      derivative: (x, options) => eluDerivative(x, options.alpha ?? 1),
    },
    selu: {
      value: (x) => SELU_SCALE * elu(x, SELU_ALPHA),
      derivative: (x) => SELU_SCALE * eluDerivative(x, SELU_ALPHA),
    },
    gelu: {
      value: (x, options) =>
        x * (options.approximate === "tanh" ? sigmoid(geluArgument(x)) : normalDistribution(x)),
      derivative: (x, options) =>
        options.approximate === "tanh"
          ? sigmoid(geluArgument(x)) + x * sigmoidDerivative(geluArgument(x)) * geluArgumentDerivative(x)
          : normalDistribution(x) + x * normalDensity(x),
    },
    silu: {
      value: (x) => x * sigmoid(x),
      derivative: (x) => sigmoid(x) * (1 + x * sigmoid(-x)),
    },
    softplus: {
      value: (x, { beta = 1 }) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(beta * x))) / beta,
      derivative: (x, { beta = 1 }) => sigmoid(beta * x),
    },
    hardtanh: {
      value: (x, { min_val = -1, max_val = 1 }) => Math.min(Math.max(x, min_val), max_val),
      derivative: (x, { min_val = -1, max_val = 1 }) => (min_val < x && x < max_val ? 1 : 0),
    },
    relu6: { value: (x) => Math.min(Math.max(x, 0), 6), derivative: (x) => (x > 0 && x < 6 ? 1 : 0) },
    hardsigmoid: { value: hardsigmoid, derivative: (x) => (x > -3 && x < 3 ? 1 / 6 : 0) },
    hardswish: {
      value: (x) => x * hardsigmoid(x),
      derivative: (x) => (x <= -3 ? 0 : x < 3 ? (2 * x + 3) / 6 : 1),
    },
    mish: {
      value: (x) => x * Math.tanh(softplus(x)),
      derivative: (x) => Math.tanh(softplus(x)) + (x * sigmoid(x)) / Math.cosh(softplus(x)) ** 2,
    },
    softsign: { value: (x) => x / (1 + Math.abs(x)), derivative: (x) => 1 / (1 + Math.abs(x)) ** 2 },
    logsigmoid: { value: (x) => -softplus(-x), derivative: (x) => sigmoid(-x) },
  };

  // [value, bound] of the derivative on one side, as numericalDerivative has it below, of forward (sign 1) or backward
  // (sign -1) quotients, whose error is a series in the step itself.
  function oneSidedDerivative(f, x0, sign) {
    const first = 0.05 * Math.max(1, Math.abs(x0));
    const here = f(x0);
    let best = [NaN, Infinity];
    let last = [];
    for (let k = 0; k < 20; k += 1) {
      const there = x0 + (sign * first) / 2 ** k;
      const value = f(there);
      const rounding = (32 * Number.EPSILON * Math.max(Math.abs(value), Math.abs(here), 1)) / Math.abs(there - x0);
      const row = [(value - here) / (there - x0)];
      for (let j = 1; j <= k; j += 1) {
        row.push(row[j - 1] + (row[j - 1] - last[j - 1]) / (2 ** j - 1));
        const bound = 2 * Math.max(Math.abs(row[j] - row[j - 1]), Math.abs(row[j] - last[j - 1])) + 2 ** j * rounding;
        if (bound < best[1]) best = [row[j], bound];
      }
      last = row;
    }
    return best;
  }

  // [left, right, bound] where the two differ, at a kink; else null.
  function sidesOfKink(f, x0) {
    const [[left, leftBound], [right, rightBound]] = [oneSidedDerivative(f, x0, -1), oneSidedDerivative(f, x0, 1)];
    const bound = leftBound + rightBound;
    return Math.abs(right - left) > bound ? [left, right, bound] : null;
  }

  // [value, bound] of the derivative of f at x0, by central differences over halving steps, extrapolated (Ridders,
  // "Accurate computation of F'(x) and F'(x) F''(x)", 1982). The bound is twice the last change of the extrapolation, plus
  // the rounding of f (taken as 16 units) as the division by the step magnifies it; the entry of the tableau with the least
  // bound wins.
  function numericalDerivative(f, x0) {
    const first = 0.05 * Math.max(1, Math.abs(x0));
    let best = [NaN, Infinity];
    let last = [];
    for (let k = 0; k < 14; k += 1) {
      const high = x0 + first / 2 ** k;
      const low = x0 - first / 2 ** k;
      const [above, below] = [f(high), f(low)];
      const rounding = (16 * Number.EPSILON * Math.max(Math.abs(above), Math.abs(below), 1)) / (high - low);
      const row = [(above - below) / (high - low)];
      for (let j = 1; j <= k; j += 1) {
        row.push(row[j - 1] + (row[j - 1] - last[j - 1]) / (4 ** j - 1));
        const bound = 2 * Math.max(Math.abs(row[j] - row[j - 1]), Math.abs(row[j] - last[j - 1])) + 2 * rounding;
        if (bound < best[1]) best = [row[j], bound];
      }
      last = row;
    }
    return best;
  }

  return Object.freeze({ activations, sigmoid, SELU_ALPHA, SELU_SCALE, numericalDerivative, sidesOfKink });
})();

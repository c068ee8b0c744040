"use strict";
// Mistakes that are made in backward passes: of which kinds of gradients the formula is wrong, and what it gives instead
// of right(). Those with which a network still learns come first. `place` is the gradient: its layer, the layer's input
// and output; `only` names the activations, null where there is none. The names are those of the gradient checker, whose
// words explain them.

const hitOf = (i, c, get) => (get("target", i, 0) === c ? 1 : 0);
const derivativeAt = ({ layer }, x, options) => arithmetic.activations[layer.activation].derivative(x, options);

// Through a batch norm: how much of what comes by the mean and by the variance is taken away from the gradient.
function throughNorm({ layer, output, model }, n, j, get, byMean, byVariance) {
  const [x, weight, spread] = ["normalized", "weight", "var"].map((end) => `${layer.name}.${end}`);
  const meanOf = (term) => sumOf(model.samples, (m) => get(`${output}.grad`, m, j) * term(m)) / model.samples;
  const taken = byMean * meanOf(() => 1) + byVariance * get(x, n, j) * meanOf((m) => get(x, m, j));
  return ((get(`${output}.grad`, n, j) - taken) * get(weight, 0, j)) / Math.sqrt(get(spread, 0, j) + layer.options.eps);
}

const MISTAKES = {
  bias_averaged: { kinds: ["bias", "norm bias"], wrong: ({ right, model }) => right() / model.samples },
  elements_mean: { kinds: ["logits"], losses: ["cross-entropy"], wrong: ({ right, model }) => right() / model.classes },
  batch_mean_twice: { kinds: ["weight", "norm weight"], wrong: ({ right, model }) => right() / model.samples },
  updated_too_early: {
    kinds: ["input"],
    wrong: ({ layer, output, model }, n, i, get) => {
      const weight = `${layer.name}.weight`;
      const after = (j) => get(weight, i, j) - model.lr * get(`${weight}.grad`, i, j);
      return sumOf(model.arrays.get(weight).cols, (j) => get(`${output}.grad`, n, j) * after(j));
    },
  },
  weight_decay: { kinds: ["weight"], wrong: ({ right, layer }, i, j, get) => right() + 0.1 * get(`${layer.name}.weight`, i, j) },
  derivative_missing: { kinds: ["activation"], wrong: ({ output }, n, j, get) => get(`${output}.grad`, n, j) },
  batch_norm_constant_statistics: { kinds: ["norm"], wrong: (place, n, j, get) => throughNorm(place, n, j, get, 0, 0) },
  batch_norm_mean_constant: { kinds: ["norm"], wrong: (place, n, j, get) => throughNorm(place, n, j, get, 0, 1) },
  batch_norm_variance_constant: { kinds: ["norm"], wrong: (place, n, j, get) => throughNorm(place, n, j, get, 1, 0) },
  dropout_mask: { kinds: ["mask"], wrong: ({ output }, n, j, get) => get(`${output}.grad`, n, j) },
  dropout_scale: {
    kinds: ["mask"],
    wrong: ({ layer, output }, n, j, get) => (get(`${layer.name}.mask`, n, j) ? get(`${output}.grad`, n, j) : 0),
  },
  one_example: {
    kinds: ["weight"],
    wrong: ({ input, output }, i, j, get) => get(input, 0, i) * get(`${output}.grad`, 0, j),
  },
  derivative_twice: {
    kinds: ["activation"],
    wrong: (place, n, j, get) => place.right() * derivativeAt(place, get(place.input, n, j), place.options(j, get)),
  },
  derivative_at_output: {
    kinds: ["activation"],
    wrong: (place, n, j, get) =>
      get(`${place.output}.grad`, n, j) * derivativeAt(place, get(place.output, n, j), place.options(j, get)),
  },
  batch_mean_missing: { kinds: ["logits"], wrong: ({ right, model }) => right() * model.samples },
  learning_rate: { kinds: ["weight"], wrong: ({ right, model }) => right() * model.lr },
  softmax_elementwise: { kinds: ["logits"], losses: ["cross-entropy"], wrong: ({ right }, n, c, get) => right() * hitOf(n, c, get) },
  mask_wrong_tensor: {
    kinds: ["activation"],
    only: ["relu"],
    wrong: ({ output }, n, j, get) => Math.max(get(`${output}.grad`, n, j), 0),
  },
  transposed: {
    kinds: ["input"],
    fits: ({ layer, model }) => {
      const { rows, cols } = model.arrays.get(`${layer.name}.weight`);
      return rows === cols;
    },
    wrong: ({ layer, output, model }, n, i, get) =>
      sumOf(model.arrays.get(output).cols, (j) => get(`${output}.grad`, n, j) * get(`${layer.name}.weight`, j, i)),
  },
  derivative_at_input: {
    kinds: ["activation"],
    only: ["sigmoid", "tanh"],
    wrong: ({ layer, input, output }, n, j, get) => {
      const z = get(input, n, j);
      return get(`${output}.grad`, n, j) * (layer.activation === "tanh" ? 1 - z * z : z * (1 - z));
    },
  },
  grad_output_ignored: {
    kinds: ["activation"],
    wrong: (place, n, j, get) => derivativeAt(place, get(place.input, n, j), place.options(j, get)),
  },
  mask_inverted: {
    kinds: ["activation", "mask"],
    only: ["relu", null],
    wrong: ({ kind, layer, input, output }, n, j, get) => {
      const gradient = get(`${output}.grad`, n, j);
      if (kind === "activation") return get(input, n, j) > 0 ? 0 : gradient;
      return get(`${layer.name}.mask`, n, j) ? 0 : gradient / (1 - layer.options.p);
    },
  },
  target_missing: { kinds: ["logits"], losses: ["cross-entropy"], wrong: ({ model }, n, c, get) => get("loss.softmax", n, c) / model.samples },
  softmax_missing: {
    kinds: ["logits"],
    losses: ["cross-entropy"],
    wrong: ({ output, model }, n, c, get) => (get(output, n, c) - hitOf(n, c, get)) / model.samples,
  },
  sign: { kinds: ["weight"], wrong: ({ right }) => -right() },
  target_minus_prediction: { kinds: ["logits"], wrong: ({ right }) => -right() },
};

// The gradients in which a mistake can be made, nearest to the loss first. That by the data is none: nothing learns
// from it.
function placesFor(name, model) {
  const { kinds, only, fits, losses } = MISTAKES[name];
  if (losses && !losses.some((loss) => LOSSES[loss] === model.loss)) return [];
  return model.gradients.filter((place) =>
    kinds.includes(place.kind) && place.name !== "input.grad" && (!only || only.includes(place.layer.activation)) &&
    (!fits || fits({ ...place, model })));
}

// The maker of a gradient with the mistake in it: it writes the right formula, with what that reads, and computes by the
// wrong one.
function wrongMaker(name, place, maker, model) {
  const options = (j, get) => optionsOf(place.layer, j, get, model);
  const value = (i, j, get) =>
    MISTAKES[name].wrong({ ...place, model, options, right: () => maker.value(i, j, get) }, i, j, get);
  return { ...maker, value, whole: undefined, reads: maker.value };
}

// Where a mistake changes a number of the network as it is: the first such place, or undefined.
function whereItShows(name, model) {
  const get = (array, i, j) => model.values[array][i][j];
  return placesFor(name, model).find((place) => {
    const { rows, cols, maker } = model.arrays.get(place.name);
    const wrong = wrongMaker(name, place, maker, model);
    return range(rows).some((i) => range(cols).some((j) => {
      const [a, b] = [maker.value(i, j, get), wrong.value(i, j, get)];
      return Math.abs(a - b) > 1e-6 * Math.max(Math.abs(a), Math.abs(b), 1e-3);
    }));
  });
}

"use strict";
// Mistakes that are made in backward passes: of which kind of gradient the formula is wrong, and what it gives instead of
// right(). Those with which a network still learns come first. `place` is the gradient: its layer, the layer's input and
// output. The names are those of the gradient checker, whose words explain them.

const hitOf = (i, c, get) => (get("target", i, 0) === c ? 1 : 0);
const derivativeAt = ({ layer }, x, options) => arithmetic.activations[layer.activation].derivative(x, options);

const MISTAKES = {
  bias_averaged: { kind: "bias", wrong: ({ right, model }) => right() / model.samples },
  elements_mean: { kind: "logits", losses: ["cross-entropy"], wrong: ({ right, model }) => right() / model.classes },
  batch_mean_twice: { kind: "weight", wrong: ({ right, model }) => right() / model.samples },
  updated_too_early: {
    kind: "input",
    wrong: ({ layer, output, model }, n, i, get) => {
      const weight = `${layer.name}.weight`;
      const after = (j) => get(weight, i, j) - model.lr * get(`${weight}.grad`, i, j);
      return sumOf(model.arrays.get(weight).cols, (j) => get(`${output}.grad`, n, j) * after(j));
    },
  },
  weight_decay: { kind: "weight", wrong: ({ right, layer }, i, j, get) => right() + 0.1 * get(`${layer.name}.weight`, i, j) },
  derivative_missing: { kind: "activation", wrong: ({ output }, n, j, get) => get(`${output}.grad`, n, j) },
  one_example: {
    kind: "weight",
    wrong: ({ input, output }, i, j, get) => get(input, 0, i) * get(`${output}.grad`, 0, j),
  },
  derivative_twice: {
    kind: "activation",
    wrong: (place, n, j, get) => place.right() * derivativeAt(place, get(place.input, n, j), place.options(j, get)),
  },
  derivative_at_output: {
    kind: "activation",
    wrong: (place, n, j, get) =>
      get(`${place.output}.grad`, n, j) * derivativeAt(place, get(place.output, n, j), place.options(j, get)),
  },
  batch_mean_missing: { kind: "logits", wrong: ({ right, model }) => right() * model.samples },
  learning_rate: { kind: "weight", wrong: ({ right, model }) => right() * model.lr },
  softmax_elementwise: { kind: "logits", losses: ["cross-entropy"], wrong: ({ right }, n, c, get) => right() * hitOf(n, c, get) },
  mask_wrong_tensor: {
    kind: "activation",
    only: ["relu"],
    wrong: ({ output }, n, j, get) => Math.max(get(`${output}.grad`, n, j), 0),
  },
  transposed: {
    kind: "input",
    fits: ({ layer, model }) => {
      const { rows, cols } = model.arrays.get(`${layer.name}.weight`);
      return rows === cols;
    },
    wrong: ({ layer, output, model }, n, i, get) =>
      sumOf(model.arrays.get(output).cols, (j) => get(`${output}.grad`, n, j) * get(`${layer.name}.weight`, j, i)),
  },
  derivative_at_input: {
    kind: "activation",
    only: ["sigmoid", "tanh"],
    wrong: ({ layer, input, output }, n, j, get) => {
      const z = get(input, n, j);
      return get(`${output}.grad`, n, j) * (layer.activation === "tanh" ? 1 - z * z : z * (1 - z));
    },
  },
  grad_output_ignored: {
    kind: "activation",
    wrong: (place, n, j, get) => derivativeAt(place, get(place.input, n, j), place.options(j, get)),
  },
  mask_inverted: {
    kind: "activation",
    only: ["relu"],
    wrong: ({ input, output }, n, j, get) => (get(input, n, j) > 0 ? 0 : get(`${output}.grad`, n, j)),
  },
  target_missing: { kind: "logits", losses: ["cross-entropy"], wrong: ({ model }, n, c, get) => get("loss.softmax", n, c) / model.samples },
  softmax_missing: {
    kind: "logits",
    losses: ["cross-entropy"],
    wrong: ({ output, model }, n, c, get) => (get(output, n, c) - hitOf(n, c, get)) / model.samples,
  },
  sign: { kind: "weight", wrong: ({ right }) => -right() },
  target_minus_prediction: { kind: "logits", wrong: ({ right }) => -right() },
};

// The gradients in which a mistake can be made, nearest to the loss first. That by the data is none: nothing learns
// from it.
function placesFor(name, model) {
  const { kind, only, fits, losses } = MISTAKES[name];
  if (losses && !losses.some((loss) => LOSSES[loss] === model.loss)) return [];
  return model.gradients.filter((place) =>
    place.kind === kind && place.name !== "input.grad" && (!only || only.includes(place.layer.activation)) &&
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

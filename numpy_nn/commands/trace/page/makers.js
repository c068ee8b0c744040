"use strict";
// The makers of model.js, one for each kind of array, forward and backward. n counts samples, i a layer's inputs, j its
// outputs, c classes. `whole`, where there is one, computes the entire array with the same operations in the same order,
// which a thousand points and sixty pictures a second need; a test holds it to `value`, bit for bit.

// An array of `rows` by `cols`, entry by entry.
function rowsOf(rows, cols, entry) {
  const made = new Array(rows);
  for (let i = 0; i < rows; i += 1) {
    const line = new Array(cols);
    for (let j = 0; j < cols; j += 1) line[j] = entry(i, j);
    made[i] = line;
  }
  return made;
}

// From each row of an array a new one of `width` numbers.
const byRows = (rows, width, entry) => rowsOf(rows.length, width, (n, j) => entry(rows[n], j, n));

// Add a row, so many times, to another: what a product of matrices is made of, in the order of memory.
function addTimes(sums, factor, line) {
  for (let j = 0; j < sums.length; j += 1) sums[j] += factor * line[j];
}

function linearMaker(model, layer, input) {
  const [weight, bias] = [`${layer.name}.weight`, `${layer.name}.bias`];
  const width = model.arrays.get(weight).rows;
  const biased = layer.parameters.includes("bias");
  return {
    whole: (values) => {
      const matrix = values[weight];
      return values[input].map((line) => {
        const sums = new Array(matrix[0].length).fill(0);
        for (let i = 0; i < width; i += 1) addTimes(sums, line[i], matrix[i]);
        if (biased) addTimes(sums, 1, values[bias][0]);
        return sums;
      });
    },
    value: (n, j, get) =>
      sumOf(width, (i) => get(input, n, i) * get(weight, i, j)) + (biased ? get(bias, 0, j) : 0),
    formula: (n, j) => [
      ml.sumOver("i"), model.entry(input, n, "i"), model.entry(weight, "i", j),
      ...(biased ? [ml.mo("+"), model.entry(bias, 0, j)] : []),
    ],
    numbers: (n, j, get) => [
      ...range(width).map((i) => [ml.factor(get(input, n, i)), ml.times, ml.factor(get(weight, i, j))]),
      ...(biased ? [[ml.factor(get(bias, 0, j))]] : []),
    ],
  };
}

// An activation's options; the learned slope of PReLU, shared or one for each unit, comes from its array.
function optionsOf(layer, j, get, model) {
  if (!layer.parameters.length) return layer.options;
  const slope = `${layer.name}.weight`;
  return { weight: get(slope, 0, model.arrays.get(slope).cols === 1 ? 0 : j) };
}

function slopeEntry(model, layer, j) {
  if (!layer.parameters.length) return "";
  const slope = `${layer.name}.weight`;
  return model.entry(slope, 0, model.arrays.get(slope).cols === 1 ? 0 : j);
}

function activationMaker(model, layer, input) {
  const { value } = arithmetic.activations[layer.activation];
  const written = WRITTEN[layer.activation].value;
  const { cols } = model.arrays.get(input);
  return {
    whole: (values) => {
      const options = range(cols).map((j) => optionsOf(layer, j, (name, i, k) => values[name][i][k], model));
      return byRows(values[input], cols, (line, j) => value(line[j], options[j]));
    },
    value: (n, j, get) => value(get(input, n, j), optionsOf(layer, j, get, model)),
    formula: (n, j) => [written(model.entry(input, n, j), layer.options, slopeEntry(model, layer, j))],
    numbers: (n, j, get) => {
      const { weight } = optionsOf(layer, j, get, model);
      return [[written(ml.factor(get(input, n, j)), layer.options, weight === undefined ? "" : ml.factor(weight))]];
    },
  };
}

// Softmax subtracts the row's largest logit first, as the engine does: the quotient is the same, and nothing overflows.
function softmaxMaker(model, logits) {
  const { classes } = model;
  const largest = (n, get) => Math.max(...range(classes).map((c) => get(logits, n, c)));
  const e = (n, c, get) => Math.exp(get(logits, n, c) - largest(n, get));
  return {
    whole: (values) => values[logits].map((z) => {
      const most = Math.max(...z);
      const powers = z.map((x) => Math.exp(x - most));
      const total = sum(powers);
      return powers.map((power) => power / total);
    }),
    value: (n, c, get) => e(n, c, get) / sumOf(classes, (k) => e(n, k, get)),
    formula: (n, c) => [ml.frac(ml.exp(model.entry(logits, n, c)), ml.row(ml.sumOver("k"), ml.exp(model.entry(logits, n, "k"))))],
    numbers: (n, c, get) => {
      const each = range(classes).map((k) => ml.exp(ml.number(get(logits, n, k))));
      return [[ml.frac(ml.exp(ml.number(get(logits, n, c))), each.join(ml.mo("+")))]];
    },
  };
}

function termMaker(model, logits) {
  const { classes } = model;
  return {
    whole: (values) => values[logits].map((z, n) => {
      const most = Math.max(...z);
      return [Math.log(sum(z.map((x) => Math.exp(x - most)))) - (z[values.target[n][0]] - most)];
    }),
    value: (n, _, get) => {
      const z = range(classes).map((c) => get(logits, n, c));
      const largest = Math.max(...z);
      return Math.log(sum(z.map((x) => Math.exp(x - largest)))) - (z[get("target", n, 0)] - largest);
    },
    formula: (n) => [
      ml.mo("−"), ml.call("ln", model.entry("loss.softmax", n, ml.row(model.entry("target", n, 0)))), ml.equals,
      ml.call("ln", ml.sumOver("c"), ml.exp(model.entry(logits, n, "c"))), ml.mo("−"),
      model.entry(logits, n, ml.row(model.entry("target", n, 0))),
    ],
    numbers: (n, _, get) => {
      const each = range(classes).map((c) => ml.exp(ml.number(get(logits, n, c))));
      return [[ml.call("ln", each.join(ml.mo("+"))), ml.mo("−"), ml.factor(get(logits, n, get("target", n, 0)))]];
    },
  };
}

// The mean over samples, and over outputs where each has a term.
function meanOfTerms(model) {
  const single = model.arrays.get("loss.terms").axes === "row";
  return single
    ? [ml.frac(ml.mn(1), ml.mi("N")), ml.sumOver("n"), model.entry("loss.terms", "n", 0)]
    : [ml.frac(ml.mn(1), ml.row(ml.mi("N"), ml.mi("C"))), ml.sumOver("n,c"), model.entry("loss.terms", "n", "c")];
}

function lossMaker(model) {
  const { cols } = model.arrays.get("loss.terms");
  const count = () => model.samples * cols;
  const term = (k, get) => get("loss.terms", Math.floor(k / cols), k % cols);
  return {
    value: (_i, _j, get) => sumOf(count(), (k) => term(k, get)) / count(),
    formula: () => meanOfTerms(model),
    numbers: (_i, _j, get) => [
      [ml.frac(ml.added(range(count()).map((k) => ml.number(term(k, get)))), ml.mn(count()))],
    ],
  };
}

// The loss of the same batch with the new parameters: the forward pass once more, each parameter read after the update.
function lossAfterMaker(model) {
  const changed = () => [...model.arrays.values()].filter((array) => array.after && array.of);
  const after = (values) => {
    const renewed = Object.fromEntries(changed().map(({ name, of }) => [of, values[name]]));
    return model.compute({ ...values, ...renewed }, model.forward).loss[0][0];
  };
  const given = () => [...changed().map(({ name }) => name), "input", "target"].map((name) => model.arrays.get(name));
  const reads = (_i, _j, get) => {
    for (const { name, rows, cols } of given()) for (const i of range(rows)) for (const j of range(cols)) get(name, i, j);
  };
  const parameters = () => changed().filter((a) => a.edge !== undefined);
  return {
    whole: (values) => [[after(values)]],
    reads,
    formula: () => [
      ml.mi("L"), ml.parens(parameters().map((a) => arraySymbol(a)).join(ml.mo(",")), ml.mo(","), ml.mo("…")),
    ],
    numbers: (_i, _j, get) => {
      const [before, now] = [get("loss", 0, 0), get("loss.after", 0, 0)];
      return [[ml.number(before), ml.mo(now < before ? "−" : "+"), ml.number(Math.abs(now - before))]];
    },
  };
}

function logitsGradientMaker(model) {
  const hit = (i, c, get) => (get("target", i, 0) === c ? 1 : 0);
  return {
    value: (i, c, get) => (get("loss.softmax", i, c) - hit(i, c, get)) / model.samples,
    formula: (i, c) => [
      ml.frac(ml.mn(1), ml.mi("N")),
      ml.parens(model.entry("loss.softmax", i, c), ml.mo("−"), ml.bracket(model.entry("target", i, 0), ml.equals, ml.mn(c))),
    ],
    numbers: (i, c, get) => [
      [ml.frac(ml.mn(1), ml.mn(model.samples)), ml.parens(ml.number(get("loss.softmax", i, c)), ml.mo("−"), ml.mn(hit(i, c, get)))],
    ],
  };
}

function weightGradientMaker(model, input, output) {
  const gradient = `${output}.grad`;
  return {
    whole: (values) => {
      const [rows, gradients] = [values[input], values[gradient]];
      const sums = rowsOf(rows[0].length, gradients[0].length, () => 0);
      for (let n = 0; n < rows.length; n += 1) for (let i = 0; i < sums.length; i += 1) addTimes(sums[i], rows[n][i], gradients[n]);
      return sums;
    },
    value: (i, j, get) => sumOf(model.samples, (n) => get(input, n, i) * get(gradient, n, j)),
    formula: (i, j) => [ml.sumOver("n"), model.entry(input, "n", i), model.entry(gradient, "n", j)],
    numbers: (i, j, get) =>
      range(model.samples).map((n) => [ml.factor(get(input, n, i)), ml.times, ml.factor(get(gradient, n, j))]),
  };
}

function biasGradientMaker(model, output) {
  const gradient = `${output}.grad`;
  return {
    value: (_, j, get) => sumOf(model.samples, (n) => get(gradient, n, j)),
    formula: (_, j) => [ml.sumOver("n"), model.entry(gradient, "n", j)],
    numbers: (_, j, get) => range(model.samples).map((n) => [ml.factor(get(gradient, n, j))]),
  };
}

function inputGradientMaker(model, layer, output) {
  const [gradient, weight] = [`${output}.grad`, `${layer.name}.weight`];
  const width = model.arrays.get(weight).cols;
  return {
    whole: (values) => {
      const matrix = values[weight];
      return byRows(values[gradient], matrix.length, (line, i) => {
        let total = 0;
        for (let j = 0; j < width; j += 1) total += line[j] * matrix[i][j];
        return total;
      });
    },
    value: (n, i, get) => sumOf(width, (j) => get(gradient, n, j) * get(weight, i, j)),
    formula: (n, i) => [ml.sumOver("j"), model.entry(gradient, n, "j"), model.entry(weight, i, "j")],
    numbers: (n, i, get) => range(width).map((j) => [ml.factor(get(gradient, n, j)), ml.times, ml.factor(get(weight, i, j))]),
  };
}

function activationGradientMaker(model, layer, input, output) {
  const gradient = `${output}.grad`;
  const { derivative } = arithmetic.activations[layer.activation];
  const { derivative: written, single } = WRITTEN[layer.activation];
  const asFactor = (html) => (single ? html : ml.parens(html));
  const { cols } = model.arrays.get(input);
  return {
    whole: (values) => {
      const options = range(cols).map((j) => optionsOf(layer, j, (name, i, k) => values[name][i][k], model));
      const given = values[input];
      return byRows(values[gradient], cols, (line, j, n) => line[j] * derivative(given[n][j], options[j]));
    },
    value: (n, j, get) => get(gradient, n, j) * derivative(get(input, n, j), optionsOf(layer, j, get, model)),
    formula: (n, j) => [
      model.entry(gradient, n, j), ml.times,
      asFactor(written(model.entry(input, n, j), layer.options, slopeEntry(model, layer, j))),
    ],
    numbers: (n, j, get) => {
      const options = optionsOf(layer, j, get, model);
      const [gradOutput, z] = [ml.factor(get(gradient, n, j)), get(input, n, j)];
      const slope = options.weight === undefined ? "" : ml.factor(options.weight);
      const put = asFactor(written(ml.factor(z), layer.options, slope));
      // Of an unknown number the slope is unknown too, though a comparison would say 0.
      const slopeThere = Number.isNaN(z) ? NaN : derivative(z, options);
      return [[gradOutput, ml.times, put, ml.equals, gradOutput, ml.times, ml.factor(slopeThere)]];
    },
  };
}

function slopeGradientMaker(model, layer, input) {
  const gradient = `${layer.name}.output.grad`;
  const shared = model.arrays.get(`${layer.name}.weight`).cols === 1;
  const width = model.arrays.get(gradient).cols;
  const cells = (k) => range(model.samples).flatMap((n) => (shared ? range(width) : [k]).map((j) => [n, j]));
  return {
    value: (_, k, get) => sum(cells(k).map(([n, j]) => get(gradient, n, j) * Math.min(get(input, n, j), 0))),
    formula: (_, k) => {
      const j = shared ? "j" : k;
      const below = ml.call("min", model.entry(input, "n", j), ml.mo(","), ml.mn(0));
      return [ml.sumOver(shared ? "n,j" : "n"), model.entry(gradient, "n", j), ml.times, below];
    },
    numbers: (_, k, get) =>
      cells(k).map(([n, j]) => [ml.factor(get(gradient, n, j)), ml.times, ml.factor(Math.min(get(input, n, j), 0))]),
  };
}

function updateMaker(model, name) {
  return {
    value: (i, j, get) => get(name, i, j) - model.lr * get(`${name}.grad`, i, j),
    formula: (i, j) => [model.entry(name, i, j), ml.mo("−"), ml.mi("η"), model.entry(`${name}.grad`, i, j)],
    numbers: (i, j, get) => [
      [ml.number(get(name, i, j)), ml.mo("−"), ml.number(model.lr), ml.times, ml.factor(get(`${name}.grad`, i, j))],
    ],
  };
}

"use strict";
// The makers of dropout, which multiplies by a mask, forward and backward, and of batch normalization: h = γ x̂ + β with
// x̂ = (x - μ) / sqrt(σ² + ε), where μ and σ² are the mean and the variance of each column of the batch. Backward (Ioffe
// and Szegedy, 2015, section 3) what comes through μ and σ² takes the mean of the gradient away from it, and its share
// along x̂.

const oneOverN = ml.frac(ml.mn(1), ml.mi("N"));

// The mean over the batch of what `term` makes of a row, as a value, with symbols and with numbers.
function meanOverBatch(model, term, formula, written) {
  return {
    value: (_, j, get) => sumOf(model.samples, (n) => term(n, j, get)) / model.samples,
    formula: (_, j) => [oneOverN, ml.sumOver("n"), formula("n", j)],
    numbers: (_, j, get) => [[ml.frac(ml.added(range(model.samples).map((n) => written(n, j, get))), ml.mn(model.samples))]],
  };
}

const batchMeanMaker = (model, input) => meanOverBatch(
  model,
  (n, j, get) => get(input, n, j),
  (n, j) => model.entry(input, n, j),
  (n, j, get) => ml.factor(get(input, n, j)),
);

function batchVarianceMaker(model, layer, input) {
  const mean = `${layer.name}.mean`;
  const squared = (x, m) => ml.sup(ml.parens(x, ml.mo("−"), m), ml.mn(2));
  return meanOverBatch(
    model,
    (n, j, get) => (get(input, n, j) - get(mean, 0, j)) ** 2,
    (n, j) => squared(model.entry(input, n, j), model.entry(mean, 0, j)),
    (n, j, get) => squared(ml.number(get(input, n, j)), ml.factor(get(mean, 0, j))),
  );
}

function normalizedMaker(model, layer, input) {
  const [mean, spread] = [`${layer.name}.mean`, `${layer.name}.var`];
  const { eps } = layer.options;
  const written = (x, m, v) => ml.frac(ml.row(x, ml.mo("−"), m), ml.root(v, ml.mo("+"), ml.number(eps)));
  return {
    value: (n, j, get) => (get(input, n, j) - get(mean, 0, j)) * (1 / Math.sqrt(get(spread, 0, j) + eps)),
    formula: (n, j) => [written(model.entry(input, n, j), model.entry(mean, 0, j), model.entry(spread, 0, j))],
    numbers: (n, j, get) => [
      [written(ml.number(get(input, n, j)), ml.factor(get(mean, 0, j)), ml.number(get(spread, 0, j)))],
    ],
  };
}

// `whole` goes by μ and σ², not by x̂: rows that are not of the batch, as those of the plane, are normalized by it too.
function batchNormMaker(model, layer, input) {
  const [mean, spread, x, weight, bias] = ["mean", "var", "normalized", "weight", "bias"].map((end) => `${layer.name}.${end}`);
  const { eps } = layer.options;
  return {
    whole: (values) => {
      const [[m], [v], [scale], [shift]] = [mean, spread, weight, bias].map((name) => values[name]);
      const over = v.map((one) => 1 / Math.sqrt(one + eps));
      return byRows(values[input], m.length, (line, j) => scale[j] * ((line[j] - m[j]) * over[j]) + shift[j]);
    },
    value: (n, j, get) => get(weight, 0, j) * get(x, n, j) + get(bias, 0, j),
    formula: (n, j) => [model.entry(weight, 0, j), ml.times, model.entry(x, n, j), ml.mo("+"), model.entry(bias, 0, j)],
    numbers: (n, j, get) => [[ml.factor(get(weight, 0, j)), ml.times, ml.factor(get(x, n, j))], [ml.factor(get(bias, 0, j))]],
  };
}

function scaleGradientMaker(model, layer, output) {
  const [gradient, x] = [`${output}.grad`, `${layer.name}.normalized`];
  return {
    value: (_, j, get) => sumOf(model.samples, (n) => get(gradient, n, j) * get(x, n, j)),
    formula: (_, j) => [ml.sumOver("n"), model.entry(gradient, "n", j), ml.times, model.entry(x, "n", j)],
    numbers: (_, j, get) =>
      range(model.samples).map((n) => [ml.factor(get(gradient, n, j)), ml.times, ml.factor(get(x, n, j))]),
  };
}

function batchNormGradientMaker(model, layer, output) {
  const gradient = `${output}.grad`;
  const [x, spread, weight] = ["normalized", "var", "weight"].map((end) => `${layer.name}.${end}`);
  const { eps } = layer.options;
  const mean = (j, get) => sumOf(model.samples, (n) => get(gradient, n, j)) / model.samples;
  const along = (j, get) => sumOf(model.samples, (n) => get(gradient, n, j) * get(x, n, j)) / model.samples;
  const scale = (w, v) => ml.frac(w, ml.root(v, ml.mo("+"), ml.number(eps)));
  return {
    value: (n, j, get) =>
      (get(gradient, n, j) - mean(j, get) - get(x, n, j) * along(j, get)) *
      (get(weight, 0, j) / Math.sqrt(get(spread, 0, j) + eps)),
    formula: (n, j) => {
      const [g, of] = [model.entry(gradient, "k", j), (name) => model.entry(name, n, j)];
      const means = [ml.mo("−"), oneOverN, ml.sumOver("k"), g, ml.mo("−"), of(x), oneOverN, ml.sumOver("k"), g, ml.times, model.entry(x, "k", j)];
      return [scale(model.entry(weight, 0, j), model.entry(spread, 0, j)), ml.parens(of(gradient), ...means)];
    },
    numbers: (n, j, get) => [[
      scale(ml.number(get(weight, 0, j)), ml.number(get(spread, 0, j))),
      ml.parens(
        ml.number(get(gradient, n, j)), ml.mo("−"), ml.factor(mean(j, get)), ml.mo("−"), ml.factor(get(x, n, j)), ml.times, ml.factor(along(j, get)),
      ),
    ]],
  };
}

// Rows that are not of the batch, as those of the plane, are evaluated: nothing is left out of them.
function maskedMaker(model, layer, input) {
  const mask = `${layer.name}.mask`;
  return {
    whole: (values) => (values.evaluating
      ? values[input]
      : byRows(values[input], values[mask][0].length, (line, j, n) => line[j] * values[mask][n][j])),
    value: (n, j, get) => get(input, n, j) * get(mask, n, j),
    formula: (n, j) => [model.entry(input, n, j), ml.times, model.entry(mask, n, j)],
    numbers: (n, j, get) => [[ml.factor(get(input, n, j)), ml.times, ml.factor(get(mask, n, j))]],
  };
}

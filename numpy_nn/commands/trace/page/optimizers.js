"use strict";
// The optimizers by name: what each keeps of a parameter from step to step, how that changes, and the update. `now` is
// what is kept, `next` what is kept after this step.

const keptName = (name, kept) => `${name}.${kept}`;
const nextName = (name, kept) => `${name}.${kept}.next`;

// b x + (1 - b) g, as Adam averages; with another last factor, as momentum adds.
function averageMaker(model, name, kept, { beta, share, square = false }) {
  const [now, gradient] = [keptName(name, kept), `${name}.grad`];
  const of = (g) => (square ? g * g : g);
  const written = (g) => (square ? ml.sup(g, ml.mn(2)) : g);
  const weight = share === 1 ? [] : [ml.number(share), ml.times];
  return {
    value: (i, j, get) => beta * get(now, i, j) + share * of(get(gradient, i, j)),
    formula: (i, j) => [
      ml.number(beta), ml.times, model.entry(now, i, j), ml.mo("+"), ...weight, written(model.entry(gradient, i, j)),
    ],
    numbers: (i, j, get) => [
      [ml.number(beta), ml.times, ml.factor(get(now, i, j))], [...weight, written(ml.factor(get(gradient, i, j)))],
    ],
  };
}

// What an optimizer's settings say of the parameter's step: value, formula, and the formula with numbers.
function stepMaker(model, name, { value, written }, reads) {
  return {
    value: (i, j, get) => get(name, i, j) - model.lr * value(...reads.map((read) => get(read, i, j))),
    formula: (i, j) => [
      model.entry(name, i, j), ml.mo("−"), ml.mi("η"), ml.times, written(...reads.map((read) => model.entry(read, i, j))),
    ],
    numbers: (i, j, get) => [[
      ml.number(get(name, i, j)), ml.mo("−"), ml.number(model.lr), ml.times, written(...reads.map((read) => ml.factor(get(read, i, j)))),
    ]],
  };
}

const OPTIMIZERS = {
  sgd: {
    kept: [],
    next: () => [],
    update: (model, name) => updateMaker(model, name),
    text: () => say.update,
  },
  momentum: {
    kept: [["velocity", "v"]],
    next: (model, name, { momentum }) => [
      ["velocity", averageMaker(model, name, "velocity", { beta: momentum, share: 1 })],
    ],
    update: (model, name) =>
      stepMaker(model, name, { value: (v) => v, written: (v) => v }, [nextName(name, "velocity")]),
    text: () => say.momentum,
  },
  adam: {
    kept: [["mean", "m"], ["square", "v"]],
    next: (model, name, { betas }) => [
      ["mean", averageMaker(model, name, "mean", { beta: betas[0], share: 1 - betas[0] })],
      ["square", averageMaker(model, name, "square", { beta: betas[1], share: 1 - betas[1], square: true })],
    ],
    update: (model, name, { betas, eps }) => {
      const corrections = () => betas.map((beta) => 1 - beta ** (model.time + 1));
      return stepMaker(model, name, {
        value: (m, v) => {
          const [c1, c2] = corrections();
          return m / c1 / (Math.sqrt(v / c2) + eps);
        },
        written: (m, v) => {
          const [c1, c2] = corrections().map((c) => ml.number(c));
          return ml.frac(ml.row(m, ml.mo("/"), c1), ml.row(`<msqrt>${ml.row(v, ml.mo("/"), c2)}</msqrt>`, ml.mo("+"), ml.number(eps)));
        },
      }, ["mean", "square"].map((kept) => nextName(name, kept)));
    },
    text: () => say.adam,
  },
};

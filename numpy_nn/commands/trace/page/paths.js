"use strict";
// The chain rule as a sum over paths: from an asked number along every path to the loss, the product of the derivatives
// on the way. Their sum is the gradient. Backpropagation gets the same sum with what paths share computed once.

const MOST_PATHS = 4096; // that are walked one by one
const PATHS_SHOWN = 12;

class Paths {
  constructor(model) {
    this.model = model;
    this.links = model.links;
  }

  value(name, i, j) {
    return this.model.values[name][i][j];
  }

  // Where the paths of an entry begin: [position of the link after whose output, row, unit, first factors].
  starts(name, i, j) {
    const { links } = this;
    const made = links.findIndex(({ output }) => output === name);
    if (made >= 0) return [[made, i, j, []]];
    if (name === "input") return this.onward(-1, i, j).map(([unit, factor, , n = i]) => [0, n, unit, [factor]]);
    const k = links.findIndex(({ layer }) => name.startsWith(`${layer.name}.`));
    return links[k].kind.starts(this.model, links[k], name, i, j).map(([n, unit, factors]) => [k, n, unit, factors]);
  }

  // From a unit of a link's output to those of the next one, as kinds.js has it.
  onward(k, n, unit) {
    const link = this.links[k + 1];
    return link.kind.onward(this.model, link, n, unit);
  }

  // How many paths an entry has, without walking them.
  count(name, i, j) {
    const after = (k) => this.links.slice(k + 1).reduce((product, link) => product * link.kind.branches(this.model, link), 1);
    return sum(this.starts(name, i, j).map(([k]) => after(k)));
  }

  // Every path: its row of the batch, the units that it passes and the weights between them, the factors, their product.
  all(name, i, j) {
    const found = [];
    const walk = (k, n, unit, path) => {
      const { output } = this.links[k];
      const units = [...path.units, [output, n, unit]];
      if (k === this.links.length - 1) {
        const factors = [...path.factors, this.value(`${output}.grad`, n, unit)];
        found.push({ row: n, units, weights: path.weights, factors, product: factors.reduce((a, x) => a * x, 1) });
        return;
      }
      for (const [next, factor, between, m = n] of this.onward(k, n, unit)) {
        const weights = [...path.weights, ...between];
        walk(k + 1, m, next, { units, weights, factors: [...path.factors, factor] });
      }
    };
    for (const [k, n, unit, factors] of this.starts(name, i, j)) walk(k, n, unit, { units: [], weights: [], factors });
    return found;
  }

  // The same sum with all that comes after the first factor taken together: [first factor, the rest] of each start.
  collapsed(name, i, j) {
    return this.starts(name, i, j).map(([k, n, unit, factors]) => [
      factors.length ? factors[0] : 1,
      this.value(`${this.links[k].output}.grad`, n, unit),
    ]);
  }

  // Multiplications for the gradients of all parameters: path by path, by one forward pass a parameter, and backward,
  // where each weight is used twice a row.
  costs() {
    const { model, links } = this;
    const weights = links.filter(({ kind }) => kind.edges).map(({ layer }) => model.arrays.get(`${layer.name}.weight`));
    const forward = model.samples * sum(weights.map(({ rows, cols }) => rows * cols));
    const parameters = [...model.arrays.values()].filter(({ after, of }) => after && of);
    const each = parameters.map(({ of, rows, cols }) => {
      const one = this.starts(of, 0, 0)[0];
      return rows * cols * this.count(of, 0, 0) * (one[3].length + links.length - 1 - one[0]);
    });
    const numbers = sum(parameters.map(({ rows, cols }) => rows * cols));
    return { paths: sum(each), evaluations: numbers * forward, parameters: numbers, backward: 2 * forward };
  }
}

"use strict";
// The kinds of layers: what each is called and drawn as, its makers forward and backward with their words, and its paths.
// All that is particular to a kind stands in its entry. A `link` is a layer with the names of its input and output and
// its place in the drawing.

const KINDS = {
  linear: {
    edges: true, // a new column of units, with edges before it
    parameter: (name) => name[0],
    output: "z",
    column: (_, k) => say.linearColumn(k),
    forward: (model, { layer, input, output }) => ({
      maker: linearMaker(model, layer, input),
      story: STORY.linear(model, layer, input, output),
    }),
    byParameter: (model, { layer, input, output }, name) => ({
      kind: name,
      maker: name === "weight" ? weightGradientMaker(model, input, output) : biasGradientMaker(model, output),
      story: STORY[`${name}Gradient`](model, layer, input, output),
    }),
    byInput: (model, { layer, input, output }) => ({
      kind: "input",
      maker: inputGradientMaker(model, layer, output),
      story: STORY.inputGradient(model, layer, input, output),
    }),
    // From a unit of the input to those of the output: [unit, derivative, the weight between].
    onward: (model, { layer }, n, unit) => {
      const weight = `${layer.name}.weight`;
      return model.values[weight][unit].map((w, j) => [j, w, [[weight, unit, j]]]);
    },
    // Where the paths of a parameter's entry begin: [row, unit of the output, first factors].
    starts: (model, { layer, input }, name, i, j) =>
      range(model.samples).map((n) => [n, j, name === `${layer.name}.weight` ? [model.values[input][n][i]] : []]),
  },
  activation: {
    edges: false,
    parameter: () => "α",
    output: "a",
    column: (layer, k) => say.activationColumn(layer.type, k),
    forward: (model, { layer, input, output }) => ({
      maker: activationMaker(model, layer, input),
      story: STORY.activation(model, layer, input, output),
    }),
    byParameter: (model, { layer, input, output }) => ({
      kind: "slope",
      maker: slopeGradientMaker(model, layer, input),
      story: STORY.slopeGradient(model, layer, input, output),
    }),
    byInput: (model, { layer, input, output }) => ({
      kind: "activation",
      maker: activationGradientMaker(model, layer, input, output),
      story: STORY.activationGradient(model, layer, input, output),
    }),
    onward: (model, { layer, input }, n, unit) => [[unit, slopeAt(model, layer, unit, model.values[input][n][unit]), []]],
    starts: (model, { input }, name, _, j) => {
      const { cols } = model.arrays.get(name);
      const units = cols === 1 ? range(model.arrays.get(input).cols) : [j];
      return range(model.samples).flatMap((n) => units.map((unit) => [n, unit, [Math.min(model.values[input][n][unit], 0)]]));
    },
  },
};

const kindOf = (layer) => KINDS[layer.activation === null ? "linear" : "activation"];

// An activation's derivative at z, for the unit j.
function slopeAt(model, layer, j, z) {
  const get = (name, row, column) => model.values[name][row][column];
  return ACTIVATIONS[layer.activation].derivative(z, optionsOf(layer, j, get, model));
}

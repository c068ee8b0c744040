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
    between: [],
    given: [],
    forward: (model, { layer, input, output }) => ({
      made: [[output, linearMaker(model, layer, input)]],
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
    // From a unit of the input to those of the output: [unit, derivative, the weight between, the row if it is another].
    onward: (model, { layer }, n, unit) => {
      const weight = `${layer.name}.weight`;
      return model.values[weight][unit].map((w, j) => [j, w, [[weight, unit, j]]]);
    },
    // How many paths lead on from a unit of the input.
    branches: (model, { output }) => model.arrays.get(output).cols,
    // Where the paths of a parameter's entry begin: [row, unit of the output, first factors].
    starts: (model, { layer, input }, name, i, j) =>
      range(model.samples).map((n) => [n, j, name === `${layer.name}.weight` ? [model.values[input][n][i]] : []]),
  },
  activation: {
    edges: false,
    parameter: () => "α",
    output: "a",
    column: (layer, k) => say.activationColumn(layer.type, k),
    between: [],
    given: [],
    forward: (model, { layer, input, output }) => ({
      made: [[output, activationMaker(model, layer, input)]],
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
    branches: () => 1,
    starts: (model, { input }, name, _, j) => {
      const { cols } = model.arrays.get(name);
      const units = cols === 1 ? range(model.arrays.get(input).cols) : [j];
      return range(model.samples).flatMap((n) => units.map((unit) => [n, unit, [Math.min(model.values[input][n][unit], 0)]]));
    },
  },
  dropout: {
    edges: false,
    output: "d",
    column: (_, k) => say.dropoutColumn(k),
    between: [],
    given: [["mask", "m"]], // arrays with a row for each sample that the recording has
    forward: (model, { layer, input, output }) => ({
      made: [[output, maskedMaker(model, layer, input)]],
      story: STORY.dropout(model, layer, input, output),
    }),
    byInput: (model, { layer, input, output }) => ({
      kind: "mask",
      maker: maskedMaker(model, layer, `${output}.grad`),
      story: STORY.dropoutGradient(model, layer, input, output),
    }),
    onward: (model, { layer }, n, unit) => [[unit, model.values[`${layer.name}.mask`][n][unit], []]],
    branches: () => 1,
  },
  // The one kind in which the rows of a batch meet: by the mean and the variance of each unit.
  batchNorm: {
    edges: false,
    parameter: (name) => ({ weight: "γ", bias: "β" })[name],
    output: "h",
    column: (_, k) => say.batchNormColumn(k),
    // Arrays between input and output: [end of the name, letter, whether there is a row for each sample].
    between: [["mean", "μ", false], ["var", "σ²", false], ["normalized", "x̂", true]],
    forward: (model, { layer, input, output }) => {
      const made = [
        [`${layer.name}.mean`, batchMeanMaker(model, input)],
        [`${layer.name}.var`, batchVarianceMaker(model, layer, input)],
        [`${layer.name}.normalized`, normalizedMaker(model, layer, input)],
        [output, batchNormMaker(model, layer, input)],
      ];
      return { made, story: STORY.batchNorm(model, layer, made) };
    },
    byParameter: (model, { layer, output }, name) => ({
      kind: `norm ${name}`,
      maker: name === "weight" ? scaleGradientMaker(model, layer, output) : biasGradientMaker(model, output),
      story: STORY[name === "weight" ? "scaleGradient" : "shiftGradient"](model, layer, output),
    }),
    byInput: (model, { layer, input, output }) => ({
      kind: "norm",
      maker: batchNormGradientMaker(model, layer, output),
      story: STORY.batchNormGradient(model, layer, input, output),
    }),
    onward: (model, { layer }, n, unit) => {
      const [x, spread, weight] = ["normalized", "var", "weight"].map((end) => model.values[`${layer.name}.${end}`]);
      const scale = weight[0][unit] / Math.sqrt(spread[0][unit] + layer.options.eps);
      const share = (m) => (m === n ? 1 : 0) - (1 + x[m][unit] * x[n][unit]) / model.samples;
      return range(model.samples).map((m) => [unit, scale * share(m), [], m]);
    },
    branches: (model) => model.samples,
    given: [],
    starts: (model, { layer }, name, _, j) =>
      range(model.samples).map((n) => [n, j, name.endsWith(".weight") ? [model.values[`${layer.name}.normalized`][n][j]] : []]),
  },
};

// The class of a layer that is neither linear nor an activation, and its kind.
const OTHER_KINDS = { BatchNorm1d: "batchNorm", Dropout: "dropout" };

const kindOf = (layer) => KINDS[layer.activation === null ? OTHER_KINDS[layer.type] ?? "linear" : "activation"];

// An activation's derivative at z, for the unit j.
function slopeAt(model, layer, j, z) {
  const get = (name, row, column) => model.values[name][row][column];
  return arithmetic.activations[layer.activation].derivative(z, optionsOf(layer, j, get, model));
}

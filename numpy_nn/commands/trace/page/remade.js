"use strict";
// The same batch with another network: depth, activation and initial values, chosen below the health of the layers and
// kept in the address, as in #net=9,tanh,xavier. The page is loaded anew, with all that it can do.

const REMADE_ACTIVATIONS = { relu: "ReLU", leaky_relu: "LeakyReLU", tanh: "Tanh", sigmoid: "Sigmoid", gelu: "GELU", silu: "SiLU", elu: "ELU", softsign: "Softsign", identity: "Identity" };
const MOST_HIDDEN = 9;

// Weights between `rows` inputs and `cols` outputs: Glorot and Bengio (2010), He et al. (2015), and three that are not so good.
const INITIALIZERS = {
  xavier: (draw, rows, cols) => (2 * draw.uniform() - 1) * Math.sqrt(6 / (rows + cols)),
  kaiming: (draw, rows) => draw.normal() * Math.sqrt(2 / rows),
  small: (draw) => 0.01 * draw.normal(),
  large: (draw) => draw.normal(),
  zeros: () => 0,
};

// Numbers that are the same each time: mulberry32, and Box and Muller's normal ones.
function drawing(seed) {
  let state = seed;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { uniform, normal: () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()) };
}

// What the address asks for: [hidden layers, activation, initializer], or null.
/** @returns {[number, string, string] | null} */
function networkOfAddress() {
  const [, hidden, activation, initializer] = /\bnet=(\d),(\w+),(\w+)/.exec(location.hash) ?? [];
  return REMADE_ACTIVATIONS[activation] && INITIALIZERS[initializer] ? [Number(hidden), activation, initializer] : null;
}

// The recording of the asked network, with the batch of another one; what follows from it the page computes.
function remade(recording, [hidden, activation, initializer]) {
  const { arrays } = recording;
  const [samples, inputs] = arrays.input.shape;
  const outputs = arrays[`${recording.layers.at(-1).name}.output`].shape[1];
  const width = Math.min(arrays[`${recording.layers[0].name}.output`].shape[1], 16);
  const widths = [inputs, ...Array.from({ length: hidden }, () => (recording.layers.length > 1 ? width : 8)), outputs];
  const draw = drawing(1);
  const made = { input: arrays.input, target: arrays.target };
  for (const name of ["loss.softmax", "loss.terms", "loss", "loss.after"]) {
    if (arrays[name]) made[name] = { shape: arrays[name].shape };
  }
  made["input.grad"] = { shape: arrays.input.shape };
  const layers = widths.slice(1).flatMap((cols, k) => {
    const [rows, name, after] = [widths[k], String(2 * k), String(2 * k + 1)];
    const weight = Array.from({ length: rows }, () =>
      Array.from({ length: cols }, () => Number(INITIALIZERS[initializer](draw, rows, cols).toFixed(4))));
    made[`${name}.weight`] = { shape: [rows, cols], values: weight };
    made[`${name}.bias`] = { shape: [cols], values: Array.from({ length: cols }, () => 0) };
    for (const p of ["weight", "bias"]) for (const end of ["grad", "after"]) made[`${name}.${p}.${end}`] = { shape: made[`${name}.${p}`].shape };
    const linear = { name, type: "Linear", parameters: ["weight", "bias"], activation: null, options: {} };
    const options = activation === "leaky_relu" ? { negative_slope: 0.01 } : {};
    const acting = { name: after, type: REMADE_ACTIVATIONS[activation], parameters: [], activation, options };
    const both = k < hidden ? [linear, acting] : [linear];
    for (const layer of both) for (const end of ["", ".grad"]) made[`${layer.name}.output${end}`] = { shape: [samples, cols] };
    return both;
  });
  const about = { ...recording.about, network: `${widths.join("-")}, ${activation}, ${initializer}` };
  return { ...recording, layers, arrays: made, checks: {}, about, mine: undefined, mistake: undefined, remade: true };
}

"use strict";
// What is written: the symbols of arrays and entries, the activations, and for each step its title, its formula and a
// sentence of explanation.

function decorated(array, letter, below, mark = "") {
  const marks = [];
  if (letter.endsWith("²")) marks.push(ml.mn(2));
  if (array.index) marks.push(ml.mo("("), ml.mn(array.index), ml.mo(")"));
  if (array.primes) marks.push(ml.mo("′".repeat(array.primes)));
  if (array.renewed) marks.push(`<mtext>&#x2009;${say.renewed}</mtext>`);
  if (mark) marks.push(mark);
  const base = ml.letter(letter.replace("²", ""));
  if (marks.length && below) return `<msubsup>${base}${ml.row(below)}${ml.row(...marks)}</msubsup>`;
  if (marks.length) return ml.sup(base, ml.row(...marks));
  return below ? ml.sub(base, below) : base;
}

const byTheLoss = (symbol) => ml.frac(ml.row(ml.mo("∂"), ml.mi("L")), ml.row(ml.mo("∂"), symbol));

// An array as a whole: a matrix by a capital letter, a vector by a small one.
function arraySymbol(array) {
  const letter = array.axes === "both" ? array.letter.toUpperCase() : array.letter;
  const symbol = decorated(array, letter, "");
  return array.gradient ? byTheLoss(symbol) : symbol;
}

// One entry; i and j are numbers or names of indices.
function entrySymbol(array, i, j) {
  const index = (k) => (typeof k === "number" ? ml.mn(k) : k.startsWith("<") ? k : ml.mi(k));
  const below = { both: ml.row(index(i), ml.mo(","), index(j)), row: index(i), column: index(j), none: "" }[array.axes];
  const symbol = decorated(array, array.letter, below);
  return array.gradient ? byTheLoss(symbol) : symbol;
}

// The same for a screen reader and for the window's title.
function spokenName(array) {
  const letter = array.axes === "both" ? array.letter.toUpperCase() : array.letter;
  const name = `${letter}${array.index ? ` ${array.index}` : ""}${say.prime.repeat(array.primes ?? 0)}`;
  return array.gradient ? say.gradientBy(name) : array.renewed ? say.afterUpdate(name) : name;
}

function spokenEntry(array, i, j) {
  const place = { both: say.rowAndColumn(i, j), row: say.row(i), column: say.column(j), none: "" }[array.axes];
  return place ? `${spokenName(array)}${say.comma}${place}` : spokenName(array);
}

const sigma = (...parts) => ml.row(ml.mi("σ"), ml.mo("&ApplyFunction;"), ml.parens(...parts));
const above0 = (z) => ml.bracket(z, ml.mo("&gt;"), ml.mn(0));
const notAbove0 = (z) => ml.bracket(z, ml.mo("≤"), ml.mn(0));
const max0 = (z) => ml.call("max", z, ml.mo(","), ml.mn(0));
const min0 = (z) => ml.call("min", z, ml.mo(","), ml.mn(0));
const slopes = (z, slope) => ml.row(max0(z), ml.mo("+"), slope, ml.times, min0(z));
const slopesDerivative = (z, slope) => ml.row(above0(z), ml.mo("+"), slope, ml.times, notAbove0(z));
const eluWritten = (z, alpha) => ml.row(max0(z), ml.mo("+"), alpha, ml.parens(ml.exp(min0(z)), ml.mo("−"), ml.mn(1)));
const eluDerivativeWritten = (z, alpha) => ml.row(above0(z), ml.mo("+"), alpha, ml.exp(z), notAbove0(z));
const geluW = (z) =>
  ml.row(ml.mn("1.5958"), ml.parens(z, ml.mo("+"), ml.mn("0.044715"), ml.sup(z, ml.mn(3))));
const geluWDerivative = (z) => ml.row(ml.mn("1.5958"), ml.parens(ml.mn(1), ml.mo("+"), ml.mn("0.134145"), ml.sup(z, ml.mn(2))));

const between = (z, low, high) => ml.bracket(ml.number(low), ml.mo("&lt;"), z, ml.mo("&lt;"), ml.number(high));
const hardsigmoidWritten = (z) => ml.frac(ml.call("min", max0(ml.row(z, ml.mo("+"), ml.mn(3))), ml.mo(","), ml.mn(6)), ml.mn(6));
const mishGate = (z) => ml.call("tanh", ml.call("ln", ml.mn(1), ml.mo("+"), ml.exp(z)));
const size = (z) => ml.row(ml.mo("|"), z, ml.mo("|"));

// Each activation and its derivative, of an argument that is itself MathML: a symbol, or a number put in. A derivative
// that is a `single` thing needs no brackets in a product.
const WRITTEN = {
  identity: { value: (z) => z, derivative: () => ml.mn(1), single: true },
  sigmoid: {
    single: true,
    value: (z) => ml.frac(ml.mn(1), ml.row(ml.mn(1), ml.mo("+"), ml.exp(ml.mo("−"), z))),
    derivative: (z) => ml.frac(ml.exp(ml.mo("−"), z), ml.sup(ml.parens(ml.mn(1), ml.mo("+"), ml.exp(ml.mo("−"), z)), ml.mn(2))),
  },
  tanh: {
    value: (z) => ml.call("tanh", z),
    derivative: (z) => ml.row(ml.mn(1), ml.mo("−"), ml.sup(ml.call("tanh", z), ml.mn(2))),
  },
  relu: { value: max0, derivative: above0, single: true },
  leaky_relu: {
    value: (z, options) => slopes(z, ml.number(options.negative_slope)),
    derivative: (z, options) => slopesDerivative(z, ml.number(options.negative_slope)),
  },
  prelu: {
    value: (z, _, slope) => slopes(z, slope),
    derivative: (z, _, slope) => slopesDerivative(z, slope),
  },
  elu: {
    value: (z, { alpha = 1 }) => eluWritten(z, alpha === 1 ? "" : ml.number(alpha)),
    derivative: (z, { alpha = 1 }) => eluDerivativeWritten(z, alpha === 1 ? "" : ml.number(alpha)),
  },
  selu: {
    value: (z) => ml.row(ml.number(arithmetic.SELU_SCALE), ml.parens(eluWritten(z, ml.number(arithmetic.SELU_ALPHA)))),
    derivative: (z) => ml.row(ml.number(arithmetic.SELU_SCALE), ml.parens(eluDerivativeWritten(z, ml.number(arithmetic.SELU_ALPHA)))),
  },
  gelu: {
    value: (z, { approximate }) => ml.row(z, ml.times, approximate === "tanh" ? sigma(geluW(z)) : ml.call("Φ", z)),
    derivative: (z, { approximate }) =>
      approximate === "tanh"
        ? ml.row(sigma(geluW(z)), ml.mo("+"), z, ml.times, ml.call("σ′", geluW(z)), ml.times, geluWDerivative(z))
        : ml.row(ml.call("Φ", z), ml.mo("+"), z, ml.times, ml.call("φ", z)),
  },
  silu: {
    value: (z) => ml.row(z, ml.times, sigma(z)),
    derivative: (z) => ml.row(sigma(z), ml.parens(ml.mn(1), ml.mo("+"), z, ml.times, sigma(ml.mo("−"), z))),
  },
  softplus: {
    single: true,
    value: (z, { beta = 1 }) =>
      beta === 1
        ? ml.call("ln", ml.mn(1), ml.mo("+"), ml.exp(z))
        : ml.row(ml.frac(ml.mn(1), ml.number(beta)), ml.call("ln", ml.mn(1), ml.mo("+"), ml.exp(ml.number(beta), ml.times, z))),
    derivative: (z, { beta = 1 }) => (beta === 1 ? sigma(z) : sigma(ml.number(beta), ml.times, z)),
  },
  hardtanh: {
    single: true,
    value: (z, { min_val = -1, max_val = 1 }) =>
      ml.call("min", ml.call("max", z, ml.mo(","), ml.number(min_val)), ml.mo(","), ml.number(max_val)),
    derivative: (z, { min_val = -1, max_val = 1 }) => between(z, min_val, max_val),
  },
  relu6: {
    single: true,
    value: (z) => ml.call("min", max0(z), ml.mo(","), ml.mn(6)),
    derivative: (z) => between(z, 0, 6),
  },
  hardsigmoid: {
    single: true,
    value: hardsigmoidWritten,
    derivative: (z) => ml.frac(between(z, -3, 3), ml.mn(6)),
  },
  hardswish: {
    value: (z) => ml.row(z, ml.times, hardsigmoidWritten(z)),
    derivative: (z) =>
      ml.row(ml.frac(ml.row(ml.mn(2), ml.times, z, ml.mo("+"), ml.mn(3)), ml.mn(6)), ml.times, between(z, -3, 3), ml.mo("+"), ml.bracket(z, ml.mo("≥"), ml.mn(3))),
  },
  mish: {
    value: (z) => ml.row(z, ml.times, mishGate(z)),
    derivative: (z) =>
      ml.row(mishGate(z), ml.mo("+"), z, ml.times, sigma(z), ml.parens(ml.mn(1), ml.mo("−"), ml.sup(mishGate(z), ml.mn(2)))),
  },
  softsign: {
    single: true,
    value: (z) => ml.frac(z, ml.row(ml.mn(1), ml.mo("+"), size(z))),
    derivative: (z) => ml.frac(ml.mn(1), ml.sup(ml.parens(ml.mn(1), ml.mo("+"), size(z)), ml.mn(2))),
  },
  logsigmoid: {
    single: true,
    value: (z) => ml.call("ln", sigma(z)),
    derivative: (z) => sigma(ml.mo("−"), z),
  },
};

const transposed = (array) => decorated(array, array.letter.toUpperCase(), "", ml.mo("⊤"));

// A step's title, formula and sentence.
const STORY = {
  given: () => ({
    title: say.givenTitle,
    formula: "",
    text: say.given,
  }),
  linear: (model, layer, input, output) => ({
    title: say.linearTitle(model.number(layer)),
    formula: ml.math(
      model.symbol(output), ml.equals, model.symbol(input), model.symbol(`${layer.name}.weight`),
      ...(layer.parameters.includes("bias") ? [ml.mo("+"), model.symbol(`${layer.name}.bias`)] : []),
    ),
    text: say.linear(layer.parameters.includes("bias")),
  }),
  activation: (model, layer, input, output) => ({
    title: say.activationTitle(model.number(layer), layer.type),
    formula: ml.math(
      ml.mi("f"), ml.parens(ml.mi("z")), ml.equals,
      WRITTEN[layer.activation].value(ml.mi("z"), layer.options, ml.mi("α")), ml.mo(","), ml.mo("&nbsp;"),
      model.symbol(output), ml.equals, ml.mi("f"), ml.parens(model.symbol(input)),
    ),
    text: say.activation,
  }),
  softmax: (model, logits) => ({
    title: say.softmaxTitle,
    formula: ml.math(
      model.entry("loss.softmax", "n", "c"), ml.equals,
      ml.frac(ml.exp(model.entry(logits, "n", "c")), ml.row(ml.sumOver("k"), ml.exp(model.entry(logits, "n", "k")))),
    ),
    text: say.softmax,
  }),
  loss: (model, { title, term, text }) => ({
    title,
    formula: ml.math(
      ml.mi("L"), ml.equals, ...meanOfTerms(model), ml.mo(","), ml.mo("&nbsp;"), model.entry("loss.terms", "n", "c"), ml.equals, ...term,
    ),
    text,
  }),
  outputGradient: (model, logits, { title, written, text }) => ({
    title,
    formula: ml.math(model.entry(`${logits}.grad`, "n", "c"), ml.equals, ...written),
    text,
  }),
  weightGradient: (model, layer, input, output) => ({
    title: say.weightGradientTitle(model.number(layer)),
    formula: ml.math(
      model.symbol(`${layer.name}.weight.grad`), ml.equals,
      transposed(model.arrays.get(input)), model.symbol(`${output}.grad`),
    ),
    text: say.weightGradient,
  }),
  biasGradient: (model, layer, _, output) => ({
    title: say.biasGradientTitle(model.number(layer)),
    formula: ml.math(
      model.entry(`${layer.name}.bias.grad`, 0, "j"), ml.equals, ml.sumOver("n"), model.entry(`${output}.grad`, "n", "j"),
    ),
    text: say.biasGradient,
  }),
  inputGradient: (model, layer, input, output) => ({
    title: say.inputGradientTitle(model.number(layer)),
    formula: ml.math(
      model.symbol(`${input}.grad`), ml.equals, model.symbol(`${output}.grad`),
      transposed(model.arrays.get(`${layer.name}.weight`)),
    ),
    text: input === "input" ? say.inputGradientOfData : say.inputGradient,
  }),
  activationGradient: (model, layer, input, output) => ({
    title: say.activationGradientTitle(model.number(layer), layer.type),
    formula: ml.math(
      model.symbol(`${input}.grad`), ml.equals, model.symbol(`${output}.grad`), ml.mo("⊙"), ml.mi("f′"),
      ml.parens(model.symbol(input)), ml.mo(","), ml.mo("&nbsp;"), ml.mi("f′"), ml.parens(ml.mi("z")), ml.equals,
      WRITTEN[layer.activation].derivative(ml.mi("z"), layer.options, ml.mi("α")),
    ),
    text: say.activationGradient,
  }),
  slopeGradient: (model, layer, input, output) => ({
    title: say.slopeGradientTitle(model.number(layer), layer.type),
    formula: ml.math(
      byTheLoss(ml.mi("α")), ml.equals, ml.sumOver("n,j"), model.entry(`${output}.grad`, "n", "j"), ml.times,
      min0(model.entry(input, "n", "j")),
    ),
    text: say.slopeGradient,
  }),
  batchNorm: (model, layer, made) => ({
    title: say.batchNormTitle(model.number(layer)),
    formula: made.map(([name, maker]) => ml.math(model.entry(name, "n", "j"), ml.equals, ...maker.formula("n", "j"))).join(",&emsp;"),
    text: say.batchNorm,
  }),
  dropout: (model, layer, input, output) => ({
    title: say.dropoutTitle(model.number(layer)),
    formula: ml.math(model.symbol(output), ml.equals, model.symbol(input), ml.mo("⊙"), model.symbol(`${layer.name}.mask`)),
    text: say.dropout(layer.options.p),
  }),
  dropoutGradient: (model, layer, input, output) => ({
    title: say.dropoutGradientTitle(model.number(layer)),
    formula: ml.math(
      model.symbol(`${input}.grad`), ml.equals, model.symbol(`${output}.grad`), ml.mo("⊙"), model.symbol(`${layer.name}.mask`),
    ),
    text: say.dropoutGradient,
  }),
  scaleGradient: (model, layer, output) => ({
    title: say.scaleGradientTitle(model.number(layer)),
    formula: ml.math(
      model.entry(`${layer.name}.weight.grad`, 0, "j"), ml.equals,
      ml.sumOver("n"), model.entry(`${output}.grad`, "n", "j"), ml.times, model.entry(`${layer.name}.normalized`, "n", "j"),
    ),
    text: say.scaleGradient,
  }),
  shiftGradient: (model, layer, output) => ({
    title: say.shiftGradientTitle(model.number(layer)),
    formula: ml.math(
      model.entry(`${layer.name}.bias.grad`, 0, "j"), ml.equals, ml.sumOver("n"), model.entry(`${output}.grad`, "n", "j"),
    ),
    text: say.shiftGradient,
  }),
  batchNormGradient: (model, layer, input, output) => ({
    title: say.batchNormGradientTitle(model.number(layer)),
    formula: ml.math(
      model.entry(`${input}.grad`, "n", "j"), ml.equals, ...batchNormGradientMaker(model, layer, output).formula("n", "j"),
    ),
    text: say.batchNormGradient,
  }),
  // By one entry where an optimizer keeps something, else by whole arrays.
  update: (model, layer, outputs) => ({
    title: say.updateTitle(model.number(layer)),
    formula: model.kept.length
      ? outputs.filter(([name]) => name.startsWith(`${layer.name}.${layer.parameters[0]}.`))
        .map(([name, maker]) => ml.math(model.entry(name, "i", "j"), ml.equals, ...maker.formula("i", "j")))
        .join(",&emsp;")
      : layer.parameters
        .map((p) => `${layer.name}.${p}`)
        .map((p) => [`${p}.after`, p, `${p}.grad`].map((name) => model.symbol(name)))
        .map(([after, before, gradient]) => ml.math(after, ml.equals, before, ml.mo("−"), ml.mi("η"), gradient))
        .join(",&emsp;"),
    text: model.optimizer.text(),
  }),
  again: (model) => ({
    title: say.againTitle,
    formula: ml.math(model.symbol("loss.after"), ml.equals, ...meanOfTerms(model)),
    text: say.again,
  }),
};

"use strict";
// What is written: the symbols of arrays and entries, the activations, and for each step its title, its formula and a
// sentence of explanation.

function decorated(array, letter, below, mark = "") {
  const marks = [];
  if (array.index) marks.push(mo("("), mn(array.index), mo(")"));
  if (array.primes) marks.push(mo("′".repeat(array.primes)));
  if (array.renewed) marks.push("<mtext>&#x2009;new</mtext>");
  if (mark) marks.push(mark);
  const base = mi(letter);
  if (marks.length && below) return `<msubsup>${base}${row(below)}${row(...marks)}</msubsup>`;
  if (marks.length) return sup(base, row(...marks));
  return below ? sub(base, below) : base;
}

const byTheLoss = (symbol) => frac(row(mo("∂"), mi("L")), row(mo("∂"), symbol));

// An array as a whole: a matrix by a capital letter, a vector by a small one.
function arraySymbol(array) {
  const letter = array.axes === "both" ? array.letter.toUpperCase() : array.letter;
  const symbol = decorated(array, letter, "");
  return array.gradient ? byTheLoss(symbol) : symbol;
}

// One entry; i and j are numbers or names of indices.
function entrySymbol(array, i, j) {
  const index = (k) => (typeof k === "number" ? mn(k) : k.startsWith("<") ? k : mi(k));
  const below = { both: row(index(i), mo(","), index(j)), row: index(i), column: index(j), none: "" }[array.axes];
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

const sigma = (...parts) => row(mi("σ"), mo("&ApplyFunction;"), parens(...parts));
const above0 = (z) => bracket(z, mo("&gt;"), mn(0));
const notAbove0 = (z) => bracket(z, mo("≤"), mn(0));
const max0 = (z) => call("max", z, mo(","), mn(0));
const min0 = (z) => call("min", z, mo(","), mn(0));
const slopes = (z, slope) => row(max0(z), mo("+"), slope, times, min0(z));
const slopesDerivative = (z, slope) => row(above0(z), mo("+"), slope, times, notAbove0(z));
const eluWritten = (z, alpha) => row(max0(z), mo("+"), alpha, parens(exp(min0(z)), mo("−"), mn(1)));
const eluDerivativeWritten = (z, alpha) => row(above0(z), mo("+"), alpha, exp(z), notAbove0(z));
const geluW = (z) =>
  row(mn("1.5958"), parens(z, mo("+"), mn("0.044715"), sup(z, mn(3))));
const geluWDerivative = (z) => row(mn("1.5958"), parens(mn(1), mo("+"), mn("0.134145"), sup(z, mn(2))));

const between = (z, low, high) => bracket(number(low), mo("&lt;"), z, mo("&lt;"), number(high));
const hardsigmoidWritten = (z) => frac(call("min", max0(row(z, mo("+"), mn(3))), mo(","), mn(6)), mn(6));
const mishGate = (z) => call("tanh", call("ln", mn(1), mo("+"), exp(z)));
const size = (z) => row(mo("|"), z, mo("|"));

// Each activation and its derivative, of an argument that is itself MathML: a symbol, or a number put in. A derivative
// that is a `single` thing needs no brackets in a product.
const WRITTEN = {
  identity: { value: (z) => z, derivative: () => mn(1), single: true },
  sigmoid: {
    single: true,
    value: (z) => frac(mn(1), row(mn(1), mo("+"), exp(mo("−"), z))),
    derivative: (z) => frac(exp(mo("−"), z), sup(parens(mn(1), mo("+"), exp(mo("−"), z)), mn(2))),
  },
  tanh: {
    value: (z) => call("tanh", z),
    derivative: (z) => row(mn(1), mo("−"), sup(call("tanh", z), mn(2))),
  },
  relu: { value: max0, derivative: above0, single: true },
  leaky_relu: {
    value: (z, options) => slopes(z, number(options.negative_slope)),
    derivative: (z, options) => slopesDerivative(z, number(options.negative_slope)),
  },
  prelu: {
    value: (z, _, slope) => slopes(z, slope),
    derivative: (z, _, slope) => slopesDerivative(z, slope),
  },
  elu: {
    value: (z, { alpha = 1 }) => eluWritten(z, alpha === 1 ? "" : number(alpha)),
    derivative: (z, { alpha = 1 }) => eluDerivativeWritten(z, alpha === 1 ? "" : number(alpha)),
  },
  selu: {
    value: (z) => row(number(SELU_SCALE), parens(eluWritten(z, number(SELU_ALPHA)))),
    derivative: (z) => row(number(SELU_SCALE), parens(eluDerivativeWritten(z, number(SELU_ALPHA)))),
  },
  gelu: {
    value: (z, { approximate }) => row(z, times, approximate === "tanh" ? sigma(geluW(z)) : call("Φ", z)),
    derivative: (z, { approximate }) =>
      approximate === "tanh"
        ? row(sigma(geluW(z)), mo("+"), z, times, call("σ′", geluW(z)), times, geluWDerivative(z))
        : row(call("Φ", z), mo("+"), z, times, call("φ", z)),
  },
  silu: {
    value: (z) => row(z, times, sigma(z)),
    derivative: (z) => row(sigma(z), parens(mn(1), mo("+"), z, times, sigma(mo("−"), z))),
  },
  softplus: {
    single: true,
    value: (z, { beta = 1 }) =>
      beta === 1
        ? call("ln", mn(1), mo("+"), exp(z))
        : row(frac(mn(1), number(beta)), call("ln", mn(1), mo("+"), exp(number(beta), times, z))),
    derivative: (z, { beta = 1 }) => (beta === 1 ? sigma(z) : sigma(number(beta), times, z)),
  },
  hardtanh: {
    single: true,
    value: (z, { min_val = -1, max_val = 1 }) =>
      call("min", call("max", z, mo(","), number(min_val)), mo(","), number(max_val)),
    derivative: (z, { min_val = -1, max_val = 1 }) => between(z, min_val, max_val),
  },
  relu6: {
    single: true,
    value: (z) => call("min", max0(z), mo(","), mn(6)),
    derivative: (z) => between(z, 0, 6),
  },
  hardsigmoid: {
    single: true,
    value: hardsigmoidWritten,
    derivative: (z) => frac(between(z, -3, 3), mn(6)),
  },
  hardswish: {
    value: (z) => row(z, times, hardsigmoidWritten(z)),
    derivative: (z) =>
      row(frac(row(mn(2), times, z, mo("+"), mn(3)), mn(6)), times, between(z, -3, 3), mo("+"), bracket(z, mo("≥"), mn(3))),
  },
  mish: {
    value: (z) => row(z, times, mishGate(z)),
    derivative: (z) =>
      row(mishGate(z), mo("+"), z, times, sigma(z), parens(mn(1), mo("−"), sup(mishGate(z), mn(2)))),
  },
  softsign: {
    single: true,
    value: (z) => frac(z, row(mn(1), mo("+"), size(z))),
    derivative: (z) => frac(mn(1), sup(parens(mn(1), mo("+"), size(z)), mn(2))),
  },
  logsigmoid: {
    single: true,
    value: (z) => call("ln", sigma(z)),
    derivative: (z) => sigma(mo("−"), z),
  },
};

const transposed = (array) => decorated(array, array.letter.toUpperCase(), "", mo("⊤"));

// A step's title, formula and sentence.
const STORY = {
  given: () => ({
    title: say.givenTitle,
    formula: "",
    text: say.given,
  }),
  linear: (model, layer, input, output) => ({
    title: say.linearTitle(model.number(layer)),
    formula: math(
      model.symbol(output), equals, model.symbol(input), model.symbol(`${layer.name}.weight`),
      ...(layer.parameters.includes("bias") ? [mo("+"), model.symbol(`${layer.name}.bias`)] : []),
    ),
    text: say.linear(layer.parameters.includes("bias")),
  }),
  activation: (model, layer, input, output) => ({
    title: say.activationTitle(model.number(layer), layer.type),
    formula: math(
      mi("f"), parens(mi("z")), equals,
      WRITTEN[layer.activation].value(mi("z"), layer.options, mi("α")), mo(","), mo("&nbsp;"),
      model.symbol(output), equals, mi("f"), parens(model.symbol(input)),
    ),
    text: say.activation,
  }),
  softmax: (model, logits) => ({
    title: say.softmaxTitle,
    formula: math(
      model.entry("loss.softmax", "n", "c"), equals,
      frac(exp(model.entry(logits, "n", "c")), row(sumOver("k"), exp(model.entry(logits, "n", "k")))),
    ),
    text: say.softmax,
  }),
  loss: (model, { title, term, text }) => ({
    title,
    formula: math(
      mi("L"), equals, ...meanOfTerms(model), mo(","), mo("&nbsp;"), model.entry("loss.terms", "n", "c"), equals, ...term,
    ),
    text,
  }),
  outputGradient: (model, logits, { title, written, text }) => ({
    title,
    formula: math(model.entry(`${logits}.grad`, "n", "c"), equals, ...written),
    text,
  }),
  weightGradient: (model, layer, input, output) => ({
    title: say.weightGradientTitle(model.number(layer)),
    formula: math(
      model.symbol(`${layer.name}.weight.grad`), equals,
      transposed(model.arrays.get(input)), model.symbol(`${output}.grad`),
    ),
    text: say.weightGradient,
  }),
  biasGradient: (model, layer, _, output) => ({
    title: say.biasGradientTitle(model.number(layer)),
    formula: math(
      model.entry(`${layer.name}.bias.grad`, 0, "j"), equals, sumOver("n"), model.entry(`${output}.grad`, "n", "j"),
    ),
    text: say.biasGradient,
  }),
  inputGradient: (model, layer, input, output) => ({
    title: say.inputGradientTitle(model.number(layer)),
    formula: math(
      model.symbol(`${input}.grad`), equals, model.symbol(`${output}.grad`),
      transposed(model.arrays.get(`${layer.name}.weight`)),
    ),
    text: input === "input" ? say.inputGradientOfData : say.inputGradient,
  }),
  activationGradient: (model, layer, input, output) => ({
    title: say.activationGradientTitle(model.number(layer), layer.type),
    formula: math(
      model.symbol(`${input}.grad`), equals, model.symbol(`${output}.grad`), mo("⊙"), mi("f′"),
      parens(model.symbol(input)), mo(","), mo("&nbsp;"), mi("f′"), parens(mi("z")), equals,
      WRITTEN[layer.activation].derivative(mi("z"), layer.options, mi("α")),
    ),
    text: say.activationGradient,
  }),
  slopeGradient: (model, layer, input, output) => ({
    title: say.slopeGradientTitle(model.number(layer), layer.type),
    formula: math(
      byTheLoss(mi("α")), equals, sumOver("n,j"), model.entry(`${output}.grad`, "n", "j"), times,
      min0(model.entry(input, "n", "j")),
    ),
    text: say.slopeGradient,
  }),
  batchNorm: (model, layer, made) => ({
    title: say.batchNormTitle(model.number(layer)),
    formula: made.map(([name, maker]) => math(model.entry(name, "n", "j"), equals, ...maker.formula("n", "j"))).join(",&emsp;"),
    text: say.batchNorm,
  }),
  dropout: (model, layer, input, output) => ({
    title: say.dropoutTitle(model.number(layer)),
    formula: math(model.symbol(output), equals, model.symbol(input), mo("⊙"), model.symbol(`${layer.name}.mask`)),
    text: say.dropout(layer.options.p),
  }),
  dropoutGradient: (model, layer, input, output) => ({
    title: say.dropoutGradientTitle(model.number(layer)),
    formula: math(
      model.symbol(`${input}.grad`), equals, model.symbol(`${output}.grad`), mo("⊙"), model.symbol(`${layer.name}.mask`),
    ),
    text: say.dropoutGradient,
  }),
  scaleGradient: (model, layer, output) => ({
    title: say.scaleGradientTitle(model.number(layer)),
    formula: math(
      model.entry(`${layer.name}.weight.grad`, 0, "j"), equals,
      sumOver("n"), model.entry(`${output}.grad`, "n", "j"), times, model.entry(`${layer.name}.normalized`, "n", "j"),
    ),
    text: say.scaleGradient,
  }),
  shiftGradient: (model, layer, output) => ({
    title: say.shiftGradientTitle(model.number(layer)),
    formula: math(
      model.entry(`${layer.name}.bias.grad`, 0, "j"), equals, sumOver("n"), model.entry(`${output}.grad`, "n", "j"),
    ),
    text: say.shiftGradient,
  }),
  batchNormGradient: (model, layer, input, output) => ({
    title: say.batchNormGradientTitle(model.number(layer)),
    formula: math(
      model.entry(`${input}.grad`, "n", "j"), equals, ...batchNormGradientMaker(model, layer, output).formula("n", "j"),
    ),
    text: say.batchNormGradient,
  }),
  // By one entry where an optimizer keeps something, else by whole arrays.
  update: (model, layer, outputs) => ({
    title: say.updateTitle(model.number(layer)),
    formula: model.kept.length
      ? outputs.filter(([name]) => name.startsWith(`${layer.name}.${layer.parameters[0]}.`))
        .map(([name, maker]) => math(model.entry(name, "i", "j"), equals, ...maker.formula("i", "j")))
        .join(",&emsp;")
      : layer.parameters
        .map((p) => `${layer.name}.${p}`)
        .map((p) => [`${p}.after`, p, `${p}.grad`].map((name) => model.symbol(name)))
        .map(([after, before, gradient]) => math(after, equals, before, mo("−"), mi("η"), gradient))
        .join(",&emsp;"),
    text: model.optimizer.text(),
  }),
  again: (model) => ({
    title: say.againTitle,
    formula: math(model.symbol("loss.after"), equals, ...meanOfTerms(model)),
    text: say.again,
  }),
};

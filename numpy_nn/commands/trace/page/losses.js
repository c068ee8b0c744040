"use strict";
// The losses by name, each with the makers of its terms and of the gradient by the network's output, and their words.
// n counts samples, c outputs; the terms are one a sample for the cross-entropy, else one an output.

const targetIs = (model, n, c) => ml.bracket(model.entry("target", n, 0), ml.equals, typeof c === "number" ? ml.mn(c) : ml.mi(c));

const LOSSES = {
  "cross-entropy": {
    softmax: true,
    // How sure an output is of each class; one output is a question with the answers 0 and 1.
    shares: (z) => {
      const most = Math.max(...z);
      const powers = z.map((x) => Math.exp(x - most));
      const total = sum(powers);
      return powers.map((power) => power / total);
    },
    target: "label",
    terms: termMaker,
    gradient: logitsGradientMaker,
    story: (model) => ({
      title: say.lossTitle,
      term: [ml.mo("−"), ml.call("ln", model.entry("loss.softmax", "n", ml.row(model.entry("target", "n", 0))))],
      text: say.lossText,
    }),
    gradientStory: (model) => ({
      title: say.logitsGradientTitle,
      written: [
        ml.frac(ml.mn(1), ml.mi("N")), ml.parens(model.entry("loss.softmax", "n", "c"), ml.mo("−"), targetIs(model, "n", "c")),
      ],
      text: say.logitsGradient,
    }),
  },
  mse: {
    target: "number",
    shares: (z) => sharesOf(z.map((x) => Math.min(Math.max(x, 0), 1))),
    terms: (model, output) => entrywise({
      value: (n, c, get) => (get(output, n, c) - get("target", n, c)) ** 2,
      written: (z, y) => [ml.sup(ml.parens(z, ml.mo("−"), y), ml.mn(2))],
    }, model, output),
    gradient: (model, output) => {
      const count = () => model.samples * model.classes;
      return entrywise({
        value: (n, c, get) => (2 * (get(output, n, c) - get("target", n, c))) / count(),
        written: (z, y) => [ml.frac(ml.mn(2), ml.row(ml.mi("N"), ml.mi("C"))), ml.parens(z, ml.mo("−"), y)],
        put: (z, y) => [ml.frac(ml.mn(2), ml.mn(count())), ml.parens(z, ml.mo("−"), y)],
      }, model, output);
    },
    story: (model, output) => ({
      title: say.mseTitle,
      term: [ml.sup(ml.parens(model.entry(output, "n", "c"), ml.mo("−"), model.entry("target", "n", "c")), ml.mn(2))],
      text: say.mseText,
    }),
    gradientStory: (model, output) => ({
      title: say.outputGradientTitle,
      written: model.arrays.get(`${output}.grad`).maker.formula("n", "c"),
      text: say.mseGradient,
    }),
  },
  bce: {
    target: "probability",
    shares: (z) => sharesOf(z.map(arithmetic.sigmoid)),
    terms: (model, output) => entrywise({
      value: (n, c, get) => {
        const [z, y] = [get(output, n, c), get("target", n, c)];
        return (1 - y) * Math.max(z, 0) + y * Math.max(-z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
      },
      written: bceWritten,
    }, model, output),
    gradient: (model, output) => {
      const count = () => model.samples * model.classes;
      return entrywise({
        value: (n, c, get) => {
          const [z, y] = [get(output, n, c), get("target", n, c)];
          return ((1 - y) * arithmetic.sigmoid(z) - y * arithmetic.sigmoid(-z)) / count();
        },
        written: (z, y) => [ml.frac(ml.mn(1), ml.row(ml.mi("N"), ml.mi("C"))), ml.parens(sigma(z), ml.mo("−"), y)],
        put: (z, y) => [ml.frac(ml.mn(1), ml.mn(count())), ml.parens(sigma(z), ml.mo("−"), y)],
      }, model, output);
    },
    story: (model, output) => ({
      title: say.bceTitle,
      term: bceWritten(model.entry(output, "n", "c"), model.entry("target", "n", "c")),
      text: say.bceText,
    }),
    gradientStory: (model, output) => ({
      title: say.outputGradientTitle,
      written: model.arrays.get(`${output}.grad`).maker.formula("n", "c"),
      text: say.bceGradient,
    }),
  },
};

const sharesOf = (sure) => (sure.length === 1 ? [1 - sure[0], sure[0]] : sure.map((x) => x / (sum(sure) || 1)));

function bceWritten(z, y) {
  const no = ml.parens(ml.mn(1), ml.mo("−"), y);
  return [ml.mo("−"), y, ml.call("ln", sigma(z)), ml.mo("−"), no, ml.call("ln", ml.mn(1), ml.mo("−"), sigma(z))];
}

// A maker of one entry from the output's and the target's at the same place, written once with symbols and once with
// numbers (`put`, where that is another).
function entrywise({ value, written, put = written }, model, output) {
  return {
    value,
    formula: (n, c) => written(model.entry(output, n, c), model.entry("target", n, c)),
    numbers: (n, c, get) => [put(ml.factor(get(output, n, c)), ml.factor(get("target", n, c)))],
  };
}

// What a recording was made with, by the name of its class.
function lossOf(recording) {
  const names = { MSELoss: "mse", BCEWithLogitsLoss: "bce" };
  return LOSSES[names[/^\w+/.exec(recording.loss ?? "")?.[0]] ?? "cross-entropy"];
}

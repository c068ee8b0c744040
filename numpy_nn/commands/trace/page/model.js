"use strict";
// The computation of one training step, built from a recording: its arrays, who makes each of them and how, and the
// steps in which they appear. An array is a list of rows; a vector over units is one row, a vector over samples one
// column, a scalar one row of one.
//
// A maker is one formula, told three ways: value(i, j, get) computes an entry from others, formula(i, j) writes it with
// symbols, numbers(i, j, get) with the numbers put in. Which cells go into an entry is not told a fourth time: they are
// those that `value` asks `get` for.

/**
 * @typedef {number[][]} Rows an array as a list of rows
 * @typedef {(name: string, i: number, j: number) => number} Get an entry of an array
 * @typedef {object} Maker how an array is made: `value` or, of a whole array at once, `whole`
 * @property {(i: number, j: number, get: Get) => number} [value]
 * @property {(values: Record<string, Rows>) => Rows} [whole]
 * @property {(i: number, j: number, get: Get) => unknown} [reads] what goes in, where `value` reads something else
 * @property {(i: number | string, j: number | string) => string[]} formula
 * @property {(i: number, j: number, get: Get) => string[][]} numbers
 *
 * @typedef {object} Link a layer, with its kind and its place
 * @property {{ name: string, type: string, activation: string | null, parameters: string[], options: any }} layer
 * @property {any} kind
 * @property {string} input
 * @property {string} output
 * @property {number} unit
 * @property {number} inputUnit
 *
 * @typedef {object} ArrayInfo one array of the computation: its shape, its symbol, its place in the strip and the drawing
 * @property {string} name
 * @property {number[]} shape
 * @property {number} rows
 * @property {number} cols
 * @property {"both" | "row" | "column" | "none"} axes
 * @property {boolean} overSamples
 * @property {boolean} batch
 * @property {boolean} gradient
 * @property {boolean} after
 * @property {boolean} renewed
 * @property {Maker | null} maker
 * @property {number} step
 * @property {string} letter
 * @property {number} column
 * @property {"forward" | "backward" | "update"} lane
 * @property {number} [index]
 * @property {number} [unit]
 * @property {number} [edge]
 * @property {boolean} [bias]
 * @property {boolean} [given]
 * @property {number} [primes]
 * @property {string} [of]
 * @property {"number" | "label" | "probability"} [editable]
 */

function asRows(values, shape, overSamples) {
  if (shape.length === 0) return [[values]];
  if (shape.length === 2) return values.map((line) => [...line]);
  return overSamples ? values.map((x) => [x]) : [[...values]];
}

function sameRows(a, b) {
  if (a === b) return true;
  return a.length === b.length && a.every((line, i) => line.every((x, j) => x === b[i][j]));
}

class Model {
  constructor(recording) {
    this.recording = recording;
    this.lr = recording.lr;
    /** @type {Map<string, ArrayInfo>} */
    this.arrays = new Map(); // by name, in the order in which they are made
    /** @type {Record<string, Rows>} */
    this.values = {};
    /** @type {Link[]} */
    this.links = [];
    this.columns = [{ title: say.data }]; // of the strip: the data, each layer, the loss
    this.steps = [];
    this.samples = recording.arrays.input.shape[0];
    // Of many samples the tables show one.
    this.windowed = Boolean(recording.points);
    this.logits = recording.layers.length ? `${recording.layers.at(-1).name}.output` : "input";
    this.classes = recording.arrays[this.logits].shape[1];
    this.loss = lossOf(recording);
    this.settings = recording.update ?? { kind: "sgd" };
    this.optimizer = OPTIMIZERS[this.settings.kind];
    this.wrong = false; // whether a formula is wrong on purpose
    this.kept = []; // what the optimizer keeps: [name, name of the same after this step]
    this.time = 0; // steps that the optimizer has made
    this.describe();
    this.load();
    this.recorded = this.values;
    this.baseline = this.recorded; // what the reader found, before changing anything
    this.load();
  }

  add(name, place) {
    const shape = place.shape ?? this.recording.arrays[name].shape;
    const overSamples = shape.length === 1 && (name === "target" || name === "loss.terms");
    const [rows, cols] =
      shape.length === 2 ? shape : shape.length === 0 ? [1, 1] : overSamples ? [shape[0], 1] : [1, shape[0]];
    const axes = shape.length === 2 ? "both" : shape.length === 0 ? "none" : overSamples ? "row" : "column";
    const array = { name, shape, rows, cols, axes, overSamples, maker: null, step: 0, ...place };
    array.batch = /(^|\.)(input|target|output|normalized|mask|softmax|terms)(\.grad)?$/.test(name); // a row for each sample
    array.gradient = name.endsWith(".grad");
    array.after = name.endsWith(".after");
    array.renewed = array.after || name.endsWith(".next");
    this.arrays.set(name, array);
    return array;
  }

  addStep(outputs, story, lights) {
    this.steps.push({ outputs: outputs.map(([name]) => name), lights, ...story });
    for (const [name, maker] of outputs) {
      Object.assign(this.arrays.get(name), { maker, step: this.steps.length - 1 });
    }
  }

  // What there is, forward, then the loss, then backward, then the update, then the loss again.
  describe() {
    this.add("input", { letter: "x", column: 0, lane: "forward", unit: 0, editable: "number" });
    this.add("target", { letter: "y", column: 0, lane: "forward", editable: this.loss.target });
    const links = this.nameLayers();
    this.gradients = []; // in the order of the backward pass: the name of each, its kind, layer, input and output
    this.links = links;
    this.addStep([], STORY.given(), { units: [], edges: [] });
    for (const link of links) this.forwardStep(link);
    this.lossSteps();
    for (const link of [...links].reverse()) this.backwardSteps(link);
    for (const link of links.filter((l) => l.layer.parameters.length)) this.updateStep(link);
    this.forward = this.makers().filter(({ lane }) => lane === "forward");
    const all = { units: [this.units], edges: range(this.units + 1) };
    this.addStep([["loss.after", lossAfterMaker(this)]], STORY.again(this), all);
  }

  // Letters as in a textbook: layer k is Z = A W + b, and A after its activation.
  nameLayers() {
    let [count, input] = [0, "input"];
    let acted = []; // the kinds of the layers since the last linear one
    const { layers, arrays: recordedArrays } = this.recording;
    const links = layers.map((layer, position) => {
      const kind = kindOf(layer);
      if (kind.edges) count += 1;
      if (kind.edges) acted = [];
      const acting = acted.filter((one) => one === kind).length;
      acted.push(kind);
      const column = position + 1;
      const place = { index: count, column, lane: "forward", unit: count };
      this.columns.push({ title: kind.column(layer, count) });
      for (const name of layer.parameters) {
        const edge = kind.edges && name === "weight" ? count : undefined;
        const bias = kind.edges && name === "bias";
        this.add(`${layer.name}.${name}`, { ...place, letter: kind.parameter(name), edge, bias, editable: "number" });
      }
      const output = `${layer.name}.output`;
      const { shape } = recordedArrays[output];
      for (const [end, letter] of kind.given) {
        this.add(`${layer.name}.${end}`, { ...place, letter, primes: acting, editable: "number", given: true });
      }
      for (const [end, letter, each] of kind.between) {
        this.add(`${layer.name}.${end}`, { ...place, letter, primes: acting, shape: each ? shape : shape.slice(1) });
      }
      this.add(output, { ...place, letter: kind.output, primes: acting });
      const link = { layer, kind, input, output, unit: count, inputUnit: kind.edges ? count - 1 : count };
      input = output;
      return link;
    });
    this.columns.push({ title: say.loss });
    const place = { column: this.columns.length - 1, lane: "forward" };
    if (this.loss.softmax) this.add("loss.softmax", { ...place, letter: "p", unit: count });
    this.add("loss.terms", { ...place, letter: "ℓ" });
    this.add("loss", { ...place, letter: "L" });
    this.add("loss.after", { ...place, lane: "update", letter: "L" });
    for (const link of links) {
      for (const name of [...link.layer.parameters.map((p) => `${link.layer.name}.${p}`), link.output]) {
        const { letter, index, column, unit, edge, bias, primes } = this.arrays.get(name);
        const same = { letter, index, column, unit, edge, bias, primes };
        this.add(`${name}.grad`, { ...same, lane: "backward", of: name });
        if (name === link.output) continue;
        this.addKept(name, { index, column, lane: "update", shape: this.recording.arrays[name].shape });
        this.add(`${name}.after`, { ...same, lane: "update", of: name });
      }
    }
    this.add("input.grad", { letter: "x", column: 0, unit: 0, lane: "backward", of: "input" });
    this.units = count;
    return links;
  }

  addKept(name, place) {
    for (const [kept, letter] of this.optimizer.kept) {
      this.add(keptName(name, kept), { ...place, letter });
      this.add(nextName(name, kept), { ...place, letter });
      this.kept.push([keptName(name, kept), nextName(name, kept)]);
    }
  }

  // What is lit of a layer: the edges before its units, or these.
  lights({ kind, unit }) {
    return kind.edges ? { units: [], edges: [unit] } : { units: [unit], edges: [] };
  }

  forwardStep(link) {
    const { made, story } = link.kind.forward(this, link);
    this.addStep(made, story, { ...this.lights(link), units: [link.unit] });
  }

  lossSteps() {
    const { logits } = this;
    const lights = { units: [this.units], edges: [] };
    if (this.loss.softmax) {
      this.addStep([["loss.softmax", softmaxMaker(this, logits)]], STORY.softmax(this, logits), lights);
    }
    const made = [["loss.terms", this.loss.terms(this, logits)], ["loss", lossMaker(this)]];
    this.addStep(made, STORY.loss(this, this.loss.story(this, logits)), lights);
    this.gradients.push({ name: `${logits}.grad`, kind: "logits", output: logits });
    const gradient = [[`${logits}.grad`, this.loss.gradient(this, logits)]];
    Object.assign(this.arrays.get(`${logits}.grad`), { maker: gradient[0][1] });
    this.addStep(gradient, STORY.outputGradient(this, logits, this.loss.gradientStory(this, logits)), lights);
  }

  backwardSteps(link) {
    const { layer, kind, input, unit, inputUnit } = link;
    for (const parameter of layer.parameters) {
      const gradient = kind.byParameter(this, link, parameter);
      const atEdges = this.arrays.get(`${layer.name}.${parameter}`).edge !== undefined;
      this.gradientStep(`${layer.name}.${parameter}.grad`, gradient, link, atEdges ? this.lights(link) : { units: [unit], edges: [] });
    }
    this.gradientStep(`${input}.grad`, kind.byInput(this, link), link, { edges: this.lights(link).edges, units: [inputUnit] });
  }

  gradientStep(name, { kind, maker, story }, { layer, input, output }, lights) {
    this.gradients.push({ name, kind, layer, input, output });
    this.addStep([[name, maker]], story, lights);
  }

  updateStep(link) {
    const { layer } = link;
    const outputs = layer.parameters.map((p) => `${layer.name}.${p}`).flatMap((name) => [
      ...this.optimizer.next(this, name, this.settings).map(([kept, maker]) => [nextName(name, kept), maker]),
      [`${name}.after`, this.optimizer.update(this, name, this.settings)],
    ]);
    this.addStep(outputs, STORY.update(this, layer, outputs), this.lights(link));
  }

  // The recorded numbers: what is given as given, and all the rest as the engine computed it, unless a formula of the
  // page's own is wrong on purpose.
  load() {
    this.setSamples(this.recording.arrays.input.shape[0]);
    this.values = {};
    const kept = new Set(this.kept.flat());
    for (const { name, rows, cols, overSamples } of this.arrays.values()) {
      const { values, shape } = this.recording.arrays[name] ?? {};
      if (values !== undefined) this.values[name] = asRows(values, shape, overSamples);
      // What an optimizer keeps is 0 at first, and after the step what the page makes of it.
      else if (!shape && kept.has(name)) this.values[name] = range(rows).map(() => range(cols).map(() => 0));
    }
    this.lr = this.recording.lr;
    this.time = 0;
    if (!this.values.input) return; // the short form has no numbers
    if (this.wrong || this.makers().some(({ name }) => !(name in this.values))) this.compute();
    else this.compute(this.values, this.kept.map(([, next]) => this.arrays.get(next)));
  }

  setSamples(count) {
    if (count === this.samples) return;
    this.samples = count;
    this.readers = null;
    for (const array of this.arrays.values()) {
      if (array.batch) Object.assign(array, { rows: count, shape: [count, ...array.shape.slice(1)] });
    }
  }

  addSample(inputs, target) {
    this.values.input.push(inputs);
    this.values.target.push(target);
    // Of what else is given by samples, such as a dropout's mask, the new one has what the first has.
    for (const { name, given } of this.arrays.values()) if (given) this.values[name].push([...this.values[name][0]]);
    this.setSamples(this.samples + 1);
  }

  // The outputs of the layers for other inputs, row by row: of all, or of those behind the link at `from`.
  outputsFor(rows, from = 0) {
    /** @type {any} */
    const values = { ...this.values, [this.links[from].input]: rows, evaluating: true };
    for (const { output } of this.links.slice(from)) values[output] = this.arrays.get(output).maker.whole(values);
    return values;
  }

  makers() {
    return this.steps.flatMap((s) => s.outputs.map((name) => this.arrays.get(name)));
  }

  // Compute again every array that has a maker, in the order of the steps, from what is given.
  /** @param {Record<string, Rows>} values @param {ArrayInfo[]} makers */
  compute(values = this.values, makers = this.makers()) {
    const get = (name, i, j) => values[name][i][j];
    for (const { name, rows, cols, maker } of makers) {
      values[name] = maker.whole?.(values) ?? rowsOf(rows, cols, (i, j) => maker.value(i, j, get));
    }
    return values;
  }

  // The cells that go into a cell: what its maker reads.
  sources(name, i, j) {
    const { maker } = this.arrays.get(name);
    const found = new Map();
    const get = (source, k, l) => {
      found.set(`${source}/${k}/${l}`, [source, k, l]);
      return this.values[source][k][l];
    };
    if (maker) (maker.reads ?? maker.value)(i, j, get);
    return [...found.values()];
  }

  // The cells that a cell goes into: all whose makers read it. Which these are does not depend on the values.
  dependents(name, i, j) {
    if (!this.readers) {
      this.readers = new Map();
      for (const array of this.makers()) {
        for (const k of range(array.rows)) {
          for (const l of range(array.cols)) {
            for (const source of this.sources(array.name, k, l)) {
              const key = source.join("/");
              if (!this.readers.has(key)) this.readers.set(key, []);
              this.readers.get(key).push([array.name, k, l]);
            }
          }
        }
      }
    }
    return this.readers.get(`${name}/${i}/${j}`) ?? [];
  }

  entry(name, i, j) {
    return entrySymbol(this.arrays.get(name), i, j);
  }

  // Layers are counted as their symbols are: an activation belongs to the linear layer before it.
  number(layer) {
    return this.arrays.get(`${layer.name}.output`).index;
  }

  symbol(name) {
    return arraySymbol(this.arrays.get(name));
  }

  // The loss if one entry of an array were x and everything after it were computed from that.
  lossWith(name, i, j, x) {
    const values = { ...this.values, [name]: [...this.values[name]] };
    values[name][i] = [...values[name][i]];
    values[name][i][j] = x;
    const { step } = this.arrays.get(name);
    const after = this.forward.filter((a) => a.step > step);
    return this.compute(values, after).loss[0][0];
  }

  // Which arrays are not as they were recorded.
  isEdited() {
    if (this.lr !== this.recording.lr) return true;
    for (const { name, editable } of this.arrays.values()) {
      if (editable && !sameRows(this.values[name], this.recorded[name])) return true;
    }
    return false;
  }
}

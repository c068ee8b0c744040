"use strict";
// The network as units and edges, for one sample of the batch, with a short edge for each bias and the loss at its end. A
// unit shows the newest number that is known of it; where one is asked, the asked number and those that it is made from.
// An edge is as thick as its weight is large, in colour by its sign; in the step that makes the weight's gradient it
// shows the gradient. The drawing is made once for a width; then only what changes is written.

const SVG = "http://www.w3.org/2000/svg";

/** @returns {any} */
function svg(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

// Only what is another than last time: writing costs the browser more than comparing.
function put(node, name, value) {
  node.written ??= new Map();
  if (node.written.get(name) === value) return;
  node.written.set(name, value);
  if (name === "text") node.textContent = value;
  else if (name === "html") node.innerHTML = value;
  else node.setAttribute(name, value);
}

const signOf = (x) => (x < 0 ? "negative" : x > 0 ? "positive" : "zero");

class Network {
  constructor(model, root) {
    this.model = model;
    this.root = root;
    const arrays = [...model.arrays.values()];
    const columns = range(model.units + 1);
    this.layers = columns.map((unit) => arrays.filter((a) => a.axes === "both" && !a.edge && a.unit === unit));
    this.edges = columns.map((unit) => arrays.filter((a) => a.edge === unit));
    this.biases = columns.map((unit) => arrays.filter((a) => a.bias && a.unit === unit));
    this.losses = arrays.filter(({ name }) => name === "loss" || name === "loss.after");
    this.widths = this.layers.map((of) => of[0].cols);
    this.marks = [null, [], []];
    this.isBlank = /** @type {(name: string, i: number, j: number) => boolean} */ (() => false);
    this.seen = true;
    whenSeen(root, (seen) => {
      this.seen = seen;
      if (seen && this.drawn) this.draw(...this.drawn);
    });
    this.room = new WidthOf(root, () => this.drawn && this.draw(...this.drawn));
  }

  // Of some arrays, the one that was made last by this step; undefined if none is there yet.
  newest(arrays, step) {
    return arrays.filter((a) => a.step <= step).sort((a, b) => a.step - b.step).at(-1);
  }

  // Which of some arrays that share a place is shown: one that is asked or marked, if it is computed by now; else `usual`.
  shown(arrays, step, usual) {
    const [asked, sources, dependents] = this.marks;
    for (const cells of [asked ? [asked] : [], sources, dependents]) {
      const names = new Set(cells.map(([name]) => name));
      const marked = arrays.find((a) => names.has(a.name) && a.step <= step);
      if (marked) return marked;
    }
    return usual;
  }

  measure() {
    const columns = this.widths.length;
    const width = Math.max(this.room.now, (columns + 1) * 58);
    const tall = Math.max(...this.widths);
    const round = tall <= 8 && width / columns > 110;
    const [w, h] = round ? [43, 43] : [48, 22];
    const room = width - w - 20;
    const toLoss = Math.max((0.6 * room) / (columns - 0.4), w + 10);
    const apart = (room - toLoss) / Math.max(columns - 1, 1);
    const narrow = apart < 124;
    const top = narrow ? 70 : 40;
    const pitch = h + (round ? 7 : 6);
    return {
      columns, width, w, h, apart, narrow, top,
      height: tall * pitch + top + 2,
      x: (column) => w / 2 + 16 + (column < columns ? apart * column : apart * (columns - 1) + toLoss),
      y: (column, unit) => top + pitch * (tall / 2 + unit - ((this.widths[column] ?? 1) - 1) / 2 - 0.5) + h / 2,
    };
  }

  // The drawing without its numbers.
  build() {
    if (this.room.now === this.builtFor) return;
    this.builtFor = this.room.now;
    const at = this.measure();
    const { width, height, columns, x, w } = at;
    this.at = at;
    this.places = new Map();
    const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
    picture.setAttribute("aria-label", say.networkSaid(this.widths.join("-")));
    const units = range(columns).map((column) => this.buildUnits(column));
    const edges = range(columns).slice(1).map((column) => this.buildEdges(column));
    this.captions = range(columns + 1).map((column) => this.caption(x(column), 0));
    const second = at.narrow ? 31 : 0;
    this.edgeCaptions = range(columns).slice(1).map((column) => this.caption((x(column - 1) + x(column)) / 2, second));
    const toLoss = svg("g", { class: "to-loss" });
    for (const unit of range(this.widths.at(-1))) {
      const ends = { x1: x(columns - 1) + w / 2, y1: at.y(columns - 1, unit), x2: x(columns) - w / 2, y2: at.y(columns, 0) };
      toLoss.append(svg("line", ends));
    }
    const loss = svg("g");
    loss.append(this.buildUnit("loss", columns, 0));
    picture.append(...edges, toLoss, ...units, loss, ...this.captions, ...this.edgeCaptions);
    this.root.replaceChildren(picture);
    this.root.style.containIntrinsicHeight = `auto ${height}px`;
  }

  buildEdges(column) {
    const { x, y, w, h } = this.at;
    const group = svg("g", { class: "edges" });
    const line = (place, ends) => {
      const node = svg("line", { ...ends, "data-place": place });
      this.places.set(place, node);
      group.append(node);
    };
    for (const i of range(this.widths[column - 1])) {
      for (const j of range(this.widths[column])) {
        line(`edge ${column} ${i} ${j}`, {
          x1: x(column - 1) + w / 2, y1: y(column - 1, i), x2: x(column) - w / 2, y2: y(column, j),
        });
      }
    }
    if (!this.biases[column].length) return group;
    for (const j of range(this.widths[column])) {
      const [left, top] = [x(column) - w / 2, y(column, j) - h / 2];
      const inward = h > 30 ? 7 : 5;
      line(`bias ${column} ${j}`, { x1: left - 8, y1: top - 1, x2: left + inward, y2: top + inward - 1 });
    }
    return group;
  }

  buildUnits(column) {
    const group = svg("g");
    for (const unit of range(this.widths[column])) group.append(this.buildUnit(`unit ${column} ${unit}`, column, unit));
    return group;
  }

  buildUnit(place, column, unit) {
    const { x, y, w, h } = this.at;
    const group = svg("g", { "data-place": place });
    const corner = place === "loss" ? 4 : h / 2;
    group.append(svg("rect", { x: x(column) - w / 2, y: y(column, unit) - h / 2, width: w, height: h, rx: corner }));
    group.append(svg("text", { x: x(column), y: y(column, unit), dy: "0.35em" }));
    this.places.set(place, group);
    return group;
  }

  caption(x, y) {
    const caption = svg("foreignObject", { x: x - 30, y, width: 60, height: 40 });
    caption.append(element("div"));
    return caption;
  }

  writeCaption({ firstChild }, array, lit) {
    put(firstChild, "class", lit ? "caption lit" : "caption");
    put(firstChild, "html", array ? ml.math(arraySymbol(array)) : "");
  }

  draw(step, sample) {
    this.drawn = [step, sample];
    this.build();
    const { lights } = this.model.steps[step];
    const marks = this.placesOfMarks(sample);
    const { columns } = this.at;
    for (const column of range(columns)) {
      const array = this.shown(this.layers[column], step, this.newest(this.layers[column], step));
      const lit = lights.units.includes(column);
      const values = array ? this.model.values[array.name] : [];
      const largest = largestOf(values);
      for (const unit of range(this.widths[column])) {
        this.drawUnit(`unit ${column} ${unit}`, array, values, sample, unit, largest, lit, marks);
      }
      this.writeCaption(this.captions[column], array, lit);
      if (column) this.drawEdges(column, step, lights.edges.includes(column), marks);
    }
    const loss = this.shown(this.losses, step, this.newest(this.losses, step));
    const values = loss ? this.model.values[loss.name] : [];
    const lit = loss !== undefined && loss.step === step;
    this.drawUnit("loss", loss, values, 0, 0, 0, lit, marks);
    this.writeCaption(this.captions[columns], loss, lit);
  }

  // Edges show the weights, but in the very step that makes their gradient that, and after the update the new weights.
  usual(arrays, step) {
    const gradient = arrays.find((a) => a.gradient);
    const after = arrays.find((a) => a.after);
    return this.newest(arrays, gradient.step === step || after.step <= step ? step : 0);
  }

  drawEdges(column, step, lit, marks) {
    const edges = this.shown(this.edges[column], step, this.usual(this.edges[column], step));
    const thickest = Math.max(...this.widths) > 8 ? 2.5 : 5;
    const values = this.model.values[edges.name];
    this.drawLines(edges, values, thickest, (i, j) => `edge ${column} ${i} ${j}`, lit, marks);
    this.writeCaption(this.edgeCaptions[column - 1], edges, lit);
    if (!this.biases[column].length) return;
    const biases = this.shown(this.biases[column], step, this.usual(this.biases[column], step));
    const biasLit = lit || biases.step === step;
    this.drawLines(biases, this.model.values[biases.name], 3, (_, j) => `bias ${column} ${j}`, biasLit, marks);
  }

  drawLines(array, values, thickest, placeOf, lit, marks) {
    const largest = largestOf(values);
    for (const i of range(values.length)) {
      for (const j of range(values[i].length)) {
        const place = placeOf(i, j);
        const node = this.places.get(place);
        const value = this.isBlank(array.name, i, j) ? 0 : values[i][j];
        const mark = marks.get(place) ?? "";
        const { drawn } = node;
        if (
          drawn && drawn.value === value && drawn.largest === largest && drawn.mark === mark && drawn.lit === lit &&
          drawn.array === array
        ) continue;
        node.drawn = { value, largest, mark, lit, array };
        put(node, "stroke-width", (0.4 + (thickest * Math.abs(value)) / largest).toFixed(2));
        put(node, "class", `${value < 0 ? "negative" : "positive"}${lit ? " lit" : ""}${mark}`);
        this.name(node, array, i, j);
      }
    }
  }

  drawUnit(place, array, values, row, unit, largest, lit, marks) {
    const group = this.places.get(place);
    const value = array ? values[row][unit] : 0;
    const blank = array !== undefined && this.isBlank(array.name, row, unit);
    const share = largest && !blank && Number.isFinite(value) ? Math.abs(value) / largest : 0;
    put(group, "class", `unit ${blank ? "zero" : signOf(value)}${lit ? " lit" : ""}${marks.get(place) ?? ""}`);
    put(group, "style", `--share: ${share.toFixed(3)}`);
    put(group.lastChild, "text", blank ? "?" : array ? this.unitText(value) : "");
    if (array) this.name(group, array, row, unit);
  }

  name(node, { name }, i, j) {
    put(node, "data-name", name);
    put(node, "data-row", i);
    put(node, "data-col", j);
  }

  unitText(value) {
    const text = cellText(value);
    return text.length > 6 && !text.includes("e") ? withExponent(value.toFixed(2)) : text;
  }

  // Where a cell is in the drawing, if it is.
  placeOf([name, i, j], sample) {
    const { edge, unit, axes, bias } = this.model.arrays.get(name);
    if (edge) return `edge ${edge} ${i} ${j}`;
    if (name === "loss" || name === "loss.after") return "loss";
    if (axes === "both") return i === sample ? `unit ${unit} ${j}` : "";
    return bias ? `bias ${unit} ${j}` : "";
  }

  placesOfMarks(sample) {
    const [asked, sources, dependents] = this.marks;
    const places = new Map();
    for (const [mark, cells] of [["dependent", dependents], ["source", sources], ["asked", asked ? [asked] : []]]) {
      for (const cell of cells) places.set(this.placeOf(cell, sample), ` ${mark}`);
    }
    return places;
  }
}

// The largest size of any number, 1 where there is none but 0.
function largestOf(values) {
  let largest = 0;
  for (const line of values) for (const x of line) if (Math.abs(x) > largest) largest = Math.abs(x);
  return largest || 1;
}

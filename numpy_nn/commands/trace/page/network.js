"use strict";
// The network as units and edges, for one sample of the batch. A unit shows the newest number that is known of it. An
// edge is as thick as its weight is large, in colour by its sign; in the step that makes the weight's gradient it shows
// the gradient.

const SVG = "http://www.w3.org/2000/svg";

function svg(tag, attributes = {}, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.textContent = text;
  return node;
}

class Network {
  constructor(model, root) {
    [this.model, this.root] = [model, root];
    const arrays = [...model.arrays.values()];
    const ofUnits = arrays.filter((a) => a.axes === "both" && !a.edge);
    this.layers = range(model.units + 1).map((unit) => ofUnits.filter((a) => a.unit === unit));
    this.edges = range(model.units + 1).map((unit) => arrays.filter((a) => a.edge === unit));
    this.widths = this.layers.map((of) => of[0].cols);
  }

  // Of some arrays, the one that was made last by this step; undefined if none is there yet.
  newest(arrays, step) {
    return arrays.filter((a) => a.step <= step).sort((a, b) => a.step - b.step).at(-1);
  }

  draw(step, sample) {
    const { model } = this;
    const { lights } = model.steps[step];
    const columns = this.widths.length;
    const width = Math.max(this.root.clientWidth, 280);
    const tall = Math.max(...this.widths);
    const round = tall <= 8 && width / columns > 110;
    const [w, h] = round ? [43, 43] : [48, 22];
    const pitch = h + (round ? 7 : 6);
    const height = tall * pitch + 42;
    const x = (column) => w / 2 + 4 + (column * (width - w - 8)) / (columns - 1);
    const y = (column, unit) => 40 + pitch * (tall / 2 + unit - (this.widths[column] - 1) / 2 - 0.5) + h / 2;

    const picture = svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img" });
    const said = say.networkSaid(this.widths.join("-"));
    picture.setAttribute("aria-label", said);
    const shown = this.edges.map((of) => (of.length ? this.newest(of, this.edgeStep(of, step)) : null));
    for (const column of range(columns).slice(1)) this.drawEdges(picture, column, shown[column], lights, x, y, w);
    for (const column of range(columns)) {
      const array = this.newest(this.layers[column], step);
      const lit = lights.units.includes(column);
      this.drawUnits(picture, column, array, sample, lit, { x, y, w, h });
      if (array) picture.append(this.caption(x(column), array, lit));
      if (column === 0) continue;
      const middle = (x(column - 1) + x(column)) / 2;
      picture.append(this.caption(middle, shown[column], lights.edges.includes(column)));
    }
    this.root.replaceChildren(picture);
  }

  caption(x, array, lit) {
    const caption = svg("foreignObject", { x: x - 30, y: 0, width: 60, height: 40 });
    const label = element("div", { class: lit ? "caption lit" : "caption" });
    label.innerHTML = math(arraySymbol(array));
    caption.append(label);
    return caption;
  }

  // Edges show the weights, but in the very step that makes their gradient that, and after the update the new weights.
  edgeStep(arrays, step) {
    const gradient = arrays.find((a) => a.gradient);
    const after = arrays.find((a) => a.after);
    return gradient.step === step || after.step <= step ? step : 0;
  }

  drawEdges(picture, column, array, lights, x, y, w) {
    const values = this.model.values[array.name];
    const largest = Math.max(...values.flat().map(Math.abs)) || 1;
    const thickest = Math.max(...this.widths) > 8 ? 2.5 : 5;
    const lit = lights.edges.includes(column);
    const group = svg("g", { class: lit ? "edges lit" : "edges" });
    for (const [i, line] of values.entries()) {
      for (const [j, value] of line.entries()) {
        const edge = svg("line", {
          x1: x(column - 1) + w / 2, y1: y(column - 1, i), x2: x(column) - w / 2, y2: y(column, j),
          "stroke-width": (0.4 + (thickest * Math.abs(value)) / largest).toFixed(2),
          class: value < 0 ? "negative" : "positive",
          "data-name": array.name, "data-row": i, "data-col": j, "data-place": `edge ${column} ${i} ${j}`,
        });
        group.append(edge);
      }
    }
    picture.append(group);
  }

  drawUnits(picture, column, array, sample, lit, { x, y, w, h }) {
    const values = array ? this.model.values[array.name] : [];
    const largest = Math.max(...values.flat().map(Math.abs)) || 1;
    for (const unit of range(this.widths[column])) {
      const value = array ? values[sample][unit] : 0;
      const sign = value < 0 ? "negative" : value > 0 ? "positive" : "zero";
      const group = svg("g", { class: `unit ${sign}${lit ? " lit" : ""}`, "data-place": `unit ${column} ${unit}` });
      group.style.setProperty("--share", Number.isFinite(value) ? Math.abs(value) / largest : 0);
      const [left, top] = [x(column) - w / 2, y(column, unit) - h / 2];
      group.append(svg("rect", { x: left, y: top, width: w, height: h, rx: h / 2 }));
      if (array) {
        Object.assign(group.dataset, { name: array.name, row: sample, col: unit });
        group.append(svg("text", { x: x(column), y: y(column, unit), dy: "0.35em" }, this.unitText(value)));
      }
      picture.append(group);
    }
  }

  unitText(value) {
    const text = cellText(value);
    return text.length > 6 && !text.includes("e") ? withExponent(value.toFixed(2)) : text;
  }

  // Light the units and edges of some cells, whichever of their numbers is shown just now.
  mark(asked, sources, dependents, sample) {
    const places = new Map([...this.root.querySelectorAll("[data-place]")].map((node) => [node.dataset.place, node]));
    for (const node of places.values()) node.classList.remove("asked", "source", "dependent");
    const marks = [["dependent", dependents], ["source", sources], ["asked", asked ? [asked] : []]];
    for (const [mark, cells] of marks) {
      for (const [name, i, j] of cells) {
        const { edge, unit, axes } = this.model.arrays.get(name);
        const place = edge ? `edge ${edge} ${i} ${j}` : axes === "both" && i === sample ? `unit ${unit} ${j}` : "";
        const node = places.get(place);
        node?.classList.remove("source", "dependent");
        node?.classList.add(mark);
      }
    }
  }
}

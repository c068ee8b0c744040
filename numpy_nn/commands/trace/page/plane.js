"use strict";
// What the network does to the plane, for two inputs: which class it gives each point of it, while it trains; what each
// hidden unit makes of it; and for two hidden units the plane that they make. A click on a point has its sample in the
// tables, one beside all points adds a point.

const GRID = 40; // pictures are computed at so many places each way
const TINTS = 127; // of each sign
const FRAMES_A_ROUND = 4; // in which all pictures have their turn
const CLASS_COLOURS = ["--negative", "--positive", "--source", "--dependent"];

class Plane {
  constructor(page) {
    this.page = page;
    this.model = page.model;
    this.root = byId("plane");
    this.small = element("canvas", { width: GRID, height: GRID });
    this.image = new ImageData(GRID, GRID);
    this.dots = new Uint32Array(this.image.data.buffer);
    this.turns = []; // pictures that are still to be painted
    this.root.hidden = this.model.arrays.get("input").cols !== 2;
    if (this.root.hidden) return;
    this.message = byId("plane-message");
    this.brush = byId("brush");
    this.canvas = this.picture("plane-data", 260, say.planeSaid);
    byId("plane-main").prepend(this.canvas);
    this.hidden = this.model.links.slice(0, -1).filter(({ layer, kind }, k, all) =>
      layer.activation !== null || (kind.edges && k === all.length - 1));
    this.units = this.hidden.flatMap((link) => range(this.model.arrays.get(link.output).cols).map((unit) => ({ link, unit })));
    for (const one of this.units) this.addUnit(one, byId("plane-units"));
    this.spaces = this.hidden.filter(({ output }) => this.model.arrays.get(output).cols === 2).map((link) => this.addSpace(link));
    this.seen = true;
    new IntersectionObserver(([{ isIntersecting }]) => {
      const came = isIntersecting && !this.seen;
      this.seen = isIntersecting;
      if (came) this.draw();
    }).observe(this.root);
    whenColoursChange(() => {
      this.colours = null;
      this.draw();
    });
    this.offerPoints();
    this.canvas.addEventListener("click", (event) => this.click(event));
  }

  picture(name, size, said) {
    return element("canvas", { width: size, height: size, role: "img", "aria-label": said, class: name });
  }

  addUnit(one, root) {
    const array = this.model.arrays.get(one.link.output);
    one.canvas = this.picture("plane-unit", GRID, `${say.unitSaid}: ${spokenEntry(array, "n", one.unit)}`);
    const figure = element("figure", {}, one.canvas, element("figcaption"));
    figure.lastChild.innerHTML = ml.math(entrySymbol(array, "n", one.unit));
    root.append(figure);
  }

  addSpace(link) {
    const array = this.model.arrays.get(link.output);
    const canvas = this.picture("plane-space", 200, say.spaceSaid);
    const figure = element("figure", {}, canvas, element("figcaption"));
    figure.lastChild.innerHTML = `${say.spaceOf} ${ml.math(entrySymbol(array, "n", 0))}, ${ml.math(entrySymbol(array, "n", 1))}`;
    byId("plane-main").append(figure);
    return { link, canvas };
  }

  // Points can be added where the tables show one sample of many.
  offerPoints() {
    const { classes } = this;
    for (const c of range(classes)) this.brush.append(element("option", { value: c }, String(c)));
    const adding = byId("adding");
    adding.hidden = !this.model.windowed;
    byId("add-point").addEventListener("click", () => {
      const [x, y] = this.model.values.input[this.page.sample];
      this.add(x, y);
    });
  }

  get classes() {
    return this.model.classes === 1 ? 2 : this.model.classes;
  }

  // The class of a sample: its label, or with one output whether its target is nearer to 1 than to 0.
  classOf(n) {
    const line = this.model.values.target[n];
    return line.length === 1 ? Math.min(Math.max(Math.round(line[0]), 0), this.classes - 1) : line.indexOf(Math.max(...line));
  }

  // What is in view of some points: all of them, with a margin.
  frame(points) {
    const side = (k) => {
      const [low, high] = extremes(points.map((point) => point[k]).filter(Number.isFinite));
      const [middle, half] = [(low + high) / 2 || 0, ((high - low) / 2 || 1) * 1.15];
      return [middle - half, middle + half];
    };
    const [across, up] = [side(0), side(1)];
    return {
      places: range(GRID * GRID).map((k) => [
        across[0] + ((k % GRID) + 0.5) * (across[1] - across[0]) / GRID,
        up[1] - (Math.floor(k / GRID) + 0.5) * (up[1] - up[0]) / GRID,
      ]),
      toCanvas: ([x, y], size) => [
        (size * (x - across[0])) / (across[1] - across[0]), (size * (up[1] - y)) / (up[1] - up[0]),
      ],
      toPoint: (x, y) => [across[0] + x * (across[1] - across[0]), up[1] - y * (up[1] - up[0])],
    };
  }

  // While training runs the pictures take turns, a few a frame, all of them of the same moment.
  draw() {
    if (this.root.hidden || (this.page.isRunning && !this.seen)) return;
    if (!this.page.isRunning) this.turns.length = 0;
    if (this.turns.length === 0) this.turns.push(...this.pictures());
    const now = this.page.isRunning ? Math.ceil((this.units.length + 1) / FRAMES_A_ROUND) : this.turns.length;
    for (const paint of this.turns.splice(0, now)) paint();
  }

  // What paints each picture, of the network as it is now.
  pictures() {
    const { model } = this;
    const points = model.values.input;
    if (!this.framed || !sameRows(this.framed, points)) {
      this.framed = points.map((point) => [...point]);
      this.view = this.frame(points);
    }
    this.colours ??= this.readColours();
    const values = model.outputsFor(this.view.places);
    const whole = () => {
      this.paintRegions(this.canvas, values[model.logits]);
      this.paintPoints(this.canvas, this.view, points);
      const told = model.outputsFor(points)[model.logits];
      const right = told.filter((output, n) => this.guess(output) === this.classOf(n)).length;
      put(this.message, "text", say.pointsRight(right, model.samples));
    };
    const units = this.units.map(({ link, unit, canvas }) => () => this.paintUnit(canvas, values[link.output], unit));
    return [whole, ...units, ...this.spaces.map(({ link, canvas }) => () => this.drawSpace(link, canvas))];
  }

  // The style sheet's colours; and from one sign to the other, by way of the paper, as the canvas has its dots.
  readColours() {
    const colours = Object.fromEntries(["--raised", "--ink", ...CLASS_COLOURS].map((name) => [name, colourOf(name)]));
    const [paper, negative, positive] = ["--raised", "--negative", "--positive"].map((name) => colours[name]);
    this.tints = Uint32Array.from(range(2 * TINTS + 1), (_, k) => {
      const share = k / TINTS - 1;
      const ink = share < 0 ? negative : positive;
      return dot32(range(3).map((c) => paper[c] + Math.abs(share) * (ink[c] - paper[c])));
    });
    return colours;
  }

  // The plane of two hidden units: the points there, and what the layers behind make of each place.
  drawSpace(link, canvas) {
    const points = this.model.values[link.output];
    const view = this.frame(points);
    const values = this.model.outputsFor(view.places, this.model.links.indexOf(link) + 1);
    this.paintRegions(canvas, values[this.model.logits]);
    this.paintPoints(canvas, view, points);
  }

  guess(output) {
    const shares = this.model.loss.shares(output);
    return shares.indexOf(Math.max(...shares));
  }

  // Between the classes' colours, as far as the network is sure of each.
  paintRegions(canvas, outputs) {
    const paper = this.colours["--raised"];
    const inks = CLASS_COLOURS.map((name) => this.colours[name]);
    const mixed = [0, 0, 0];
    for (let k = 0; k < this.dots.length; k += 1) {
      const shares = this.model.loss.shares(outputs[k]);
      for (let colour = 0; colour < 3; colour += 1) {
        let ink = 0;
        for (let c = 0; c < shares.length; c += 1) ink += shares[c] * inks[c % inks.length][colour];
        mixed[colour] = paper[colour] + 0.55 * (ink - paper[colour]);
      }
      this.dots[k] = dot32(mixed);
    }
    const pen = this.small.getContext("2d");
    pen.putImageData(this.image, 0, 0);
    canvas.getContext("2d").drawImage(this.small, 0, 0, canvas.width, canvas.height);
  }

  paintUnit(canvas, outputs, unit) {
    let largest = 0;
    for (const line of outputs) largest = Math.max(largest, Math.abs(line[unit]));
    const scale = TINTS / (largest || 1);
    for (let k = 0; k < this.dots.length; k += 1) this.dots[k] = this.tints[Math.round(outputs[k][unit] * scale) + TINTS];
    canvas.getContext("2d").putImageData(this.image, 0, 0);
  }

  // Discs, squares, triangles and diamonds, so that the colour-blind tell them apart; the sample in the tables is larger.
  paintPoints(canvas, view, points) {
    const pen = canvas.getContext("2d");
    const css = (name) => `rgb(${[...this.colours[name]].slice(0, 3).join()})`;
    pen.strokeStyle = css("--ink");
    for (const n of [...range(points.length), this.page.sample]) {
      const chosen = n === this.page.sample;
      const [x, y] = view.toCanvas(points[n], canvas.width);
      const c = this.classOf(n);
      pen.fillStyle = css(CLASS_COLOURS[c % CLASS_COLOURS.length]);
      pen.lineWidth = chosen ? 2.5 : 0.8;
      this.shape(pen, c % 4, x, y, chosen ? 6 : 3.2);
      pen.fill();
      pen.stroke();
    }
  }

  shape(pen, kind, x, y, r) {
    pen.beginPath();
    if (kind === 0) pen.arc(x, y, r, 0, 2 * Math.PI);
    else if (kind === 1) pen.rect(x - r, y - r, 2 * r, 2 * r);
    else {
      const corners = kind === 2 ? [[0, -1.2], [1.1, 0.9], [-1.1, 0.9]] : [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]];
      for (const [k, [a, b]] of corners.entries()) pen[k ? "lineTo" : "moveTo"](x + a * r, y + b * r);
      pen.closePath();
    }
  }

  click(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    const places = this.model.values.input.map((point) => {
      const [a, b] = this.view.toCanvas(point, 100);
      return Math.hypot(a - x * 100, b - y * 100);
    });
    const nearest = places.indexOf(Math.min(...places));
    if (places[nearest] < 4 || !this.model.windowed) this.page.showSample(nearest);
    else {
      const [a, b] = this.view.toPoint(x, y);
      this.add(Number(a.toFixed(2)), Number(b.toFixed(2)));
    }
  }

  /** @param {number} x @param {number} y */
  add(x, y) {
    if (this.model.samples >= MOST_POINTS) return;
    this.page.editing.change(() => this.model.addSample([x, y], [Number(this.brush.value)]));
    this.page.showSample(this.model.samples - 1);
  }
}

const MOST_POINTS = 400;

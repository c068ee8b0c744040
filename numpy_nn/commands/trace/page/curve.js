"use strict";
// The loss over the training steps, as a curve; a click goes to the step under it. The picture is made once; a step more
// adds a point, and only another scale draws all points anew.

const PLACES = 400; // from left to right; of steps that share one the least and the largest loss are drawn

const NOTHING_SEEN = { seen: 0, least: Infinity, most: -Infinity, scale: "" };

class LossCurve {
  constructor(training, root, onChoose) {
    this.training = training;
    this.changes = -1; // of the losses, of which these are known
    this.seen = 0;
    this.scale = "";
    this.points = [];
    this.width = new WidthOf(root, () => this.draw());
    this.nodes = {
      axis: svg("path", { class: "axis" }), losses: svg("path", { class: "losses" }),
      line: svg("path", { class: "now" }), point: svg("circle", { r: 5, class: "now" }),
    };
    this.labels = [["end", "highest"], ["end", "lowest"], ["start", "first"], ["end", "last"], ["middle", "kind"]]
      .map(([anchor, name]) => [name, svg("text", { "text-anchor": anchor })]);
    this.picture = svg("svg", { role: "img" });
    this.picture.append(...Object.values(this.nodes), ...this.labels.map(([, node]) => node));
    root.append(this.picture);
    root.addEventListener("click", (event) => {
      const { left } = root.getBoundingClientRect();
      const at = Math.round(this.stepAt(event.clientX - left));
      onChoose(Math.min(Math.max(at, 0), training.latest));
    });
  }

  // The least and the largest loss, of which those that came since the last time are looked at.
  look() {
    const { losses, changes } = this.training;
    if (changes !== this.changes) Object.assign(this, { changes, ...NOTHING_SEEN });
    for (; this.seen < losses.length; this.seen += 1) {
      const loss = losses[this.seen];
      if (!Number.isFinite(loss)) continue;
      if (loss < this.least) this.least = loss;
      if (loss > this.most) this.most = loss;
    }
  }

  // The scales: steps from left to right; the loss upwards, as its logarithm where it goes over two powers of ten. Both
  // end at round numbers, so that they seldom change while training goes on.
  measure() {
    this.look();
    this.logarithmic = this.least > 0 && this.most > 100 * this.least;
    this.lowest = this.logarithmic ? 10 ** Math.floor(Math.log10(this.least)) : 0;
    this.highest = this.most;
    this.steps = atLeast(this.training.latest);
    this.left = 58;
    this.top = 12;
    this.bottom = this.top + 120;
    this.right = Math.max(this.width.now, 260) - 12;
    const size = this.logarithmic ? Math.log : (x) => x;
    const [low, high] = this.logarithmic ? [size(this.lowest), size(this.highest)] : [0, this.highest || 1];
    this.x = (step) => this.left + (step * (this.right - this.left)) / this.steps;
    this.y = (loss) => this.bottom - ((this.bottom - this.top) * (size(loss) - low)) / (high - low || 1);
    this.stepAt = (x) => ((x - this.left) * this.steps) / (this.right - this.left);
    const scale = [this.lowest, this.highest, this.logarithmic, this.steps, this.right].join();
    if (scale !== this.scale) Object.assign(this, { scale, points: [] });
  }

  draw() {
    this.measure();
    const { left, top, bottom, right, nodes } = this;
    const { losses, at, latest } = this.training;
    const [width, height] = [right + 12, bottom + 22];
    for (const [name, value] of [["width", width], ["height", height], ["viewBox", `0 0 ${width} ${height}`]]) put(this.picture, name, value);
    put(this.picture, "aria-label", say.curveSaid(latest, cellText(losses[0]), cellText(losses[latest])));
    put(nodes.axis, "d", `M${left},${top}V${bottom}H${right}`);
    put(nodes.losses, "d", this.path(losses));
    const written = {
      highest: [left - 6, top + 5, cellText(this.highest)], lowest: [left - 6, bottom, cellText(this.lowest)],
      first: [left, bottom + 16, "0"], last: [right, bottom + 16, String(this.steps)],
      kind: [(left + right) / 2, bottom + 16, this.logarithmic ? say.logarithmic : ""],
    };
    for (const [name, node] of this.labels) for (const [k, key] of ["x", "y", "text"].entries()) put(node, key, written[name][k]);
    const there = Number.isFinite(losses[at]);
    const [x, y] = there ? [this.x(at), this.y(losses[at])] : [0, 0];
    for (const node of [nodes.line, nodes.point]) put(node, "visibility", there ? "visible" : "hidden");
    put(nodes.line, "d", `M${x},${top}V${bottom}`);
    put(nodes.point, "cx", x);
    put(nodes.point, "cy", y);
  }

  // Of many steps that share a place the least and the largest loss, so that no peak is lost; full places are kept.
  path(losses) {
    const bunch = Math.ceil(this.steps / PLACES);
    const full = Math.floor(losses.length / bunch);
    while (this.points.length < full) this.points.push(this.place(losses, this.points.length * bunch, bunch));
    const rest = this.place(losses, full * bunch, losses.length - full * bunch);
    const points = [...this.points, rest].filter(Boolean);
    return points.length ? `M${points.join("L")}` : "";
  }

  place(losses, from, count) {
    let [low, high] = [-1, -1];
    for (let step = from; step < from + count; step += 1) {
      if (!Number.isFinite(losses[step])) continue;
      if (low < 0 || losses[step] < losses[low]) low = step;
      if (high < 0 || losses[step] > losses[high]) high = step;
    }
    const ends = low < 0 ? [] : low === high ? [low] : [Math.min(low, high), Math.max(low, high)];
    return ends.map((step) => `${this.x(step).toFixed(1)},${this.y(losses[step]).toFixed(1)}`).join("L");
  }
}

// The least of 10, 20, 50, 100, 200, ... that is so large.
function atLeast(count) {
  let ten = 10;
  while (10 * ten < count) ten *= 10;
  return [1, 2, 5, 10].map((k) => k * ten).find((round) => round >= count);
}

// The least and the largest of many numbers: too many to be arguments of Math.min.
function extremes(numbers) {
  let [least, most] = [Infinity, -Infinity];
  for (const x of numbers) {
    if (x < least) least = x;
    if (x > most) most = x;
  }
  return [least, most];
}

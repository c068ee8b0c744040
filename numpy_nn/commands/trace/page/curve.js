"use strict";
// The loss over the training steps, as a curve; a click goes to the step under it.

class LossCurve {
  constructor(training, root, onChoose) {
    this.training = training;
    this.root = root;
    root.addEventListener("click", (event) => {
      const { left } = root.getBoundingClientRect();
      const at = Math.round(this.stepAt(event.clientX - left));
      onChoose(Math.min(Math.max(at, 0), training.latest));
    });
  }

  // The scales: steps from left to right; the loss upwards, as its logarithm where it goes over two powers of ten.
  measure() {
    const finite = this.training.losses.filter(Number.isFinite);
    const [least, most] = extremes(finite);
    this.logarithmic = least > 0 && most > 100 * least;
    const scale = this.logarithmic ? Math.log : (x) => x;
    const [low, high] = this.logarithmic ? [scale(least), scale(most)] : [0, most || 1];
    this.left = 58;
    this.top = 12;
    this.height = 120;
    this.width = Math.max(this.root.clientWidth, 260);
    this.steps = Math.max(10, this.training.latest);
    this.lowest = this.logarithmic ? least : 0;
    this.highest = most;
    this.x = (step) => this.left + (step * (this.width - this.left - 12)) / this.steps;
    this.y = (loss) => this.top + this.height * (1 - (scale(loss) - low) / (high - low || 1));
    this.stepAt = (x) => ((x - this.left) * this.steps) / (this.width - this.left - 12);
  }

  draw() {
    this.measure();
    const { losses, at, latest } = this.training;
    const bottom = this.top + this.height;
    const said = say.curveSaid(latest, cellText(losses[0]), cellText(losses[latest]));
    const picture = svg("svg", {
      width: this.width, height: bottom + 22, viewBox: `0 0 ${this.width} ${bottom + 22}`, role: "img", "aria-label": said,
    });
    const axis = `M${this.left},${this.top}V${bottom}H${this.width - 12}`;
    picture.append(svg("path", { d: axis, class: "axis" }), svg("path", { d: this.path(losses), class: "losses" }));
    const label = (x, y, anchor, text) =>
      picture.append(svg("text", { x, y, "text-anchor": anchor }, text));
    label(this.left - 6, this.top + 5, "end", cellText(this.highest));
    label(this.left - 6, bottom, "end", cellText(this.lowest));
    label(this.left, bottom + 16, "start", "0");
    label(this.width - 12, bottom + 16, "end", String(this.steps));
    if (this.logarithmic) label((this.left + this.width - 12) / 2, bottom + 16, "middle", say.logarithmic);
    if (Number.isFinite(losses[at])) {
      const [x, y] = [this.x(at), this.y(losses[at])];
      picture.append(svg("path", { d: `M${x},${this.top}V${bottom}`, class: "now" }));
      picture.append(svg("circle", { cx: x, cy: y, r: 5, class: "now" }));
    }
    this.root.replaceChildren(picture);
  }

  // Of many steps that share a place the least and the largest loss are drawn, so that no peak is lost.
  path(losses) {
    const bunch = Math.ceil(losses.length / 400);
    const points = [];
    for (let from = 0; from < losses.length; from += bunch) {
      const steps = range(Math.min(bunch, losses.length - from)).map((k) => from + k);
      const finite = steps.filter((step) => Number.isFinite(losses[step]));
      if (!finite.length) continue;
      const by = (better) => finite.reduce((best, step) => (better(losses[step], losses[best]) ? step : best));
      const ends = [by((a, b) => a < b), by((a, b) => a > b)].sort((a, b) => a - b);
      for (const step of new Set(ends)) points.push(`${this.x(step).toFixed(1)},${this.y(losses[step]).toFixed(1)}`);
    }
    return points.length ? `M${points.join("L")}` : "";
  }
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

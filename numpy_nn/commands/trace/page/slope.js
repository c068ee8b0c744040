"use strict";
// A derivative is a slope: the loss as the asked number alone varies, the tangent whose slope is the gradient (at a kink
// one on each side), and where the update takes the number. The point can be dragged, which changes the number.

const POINTS = 61;

class SlopePicture {
  constructor(page) {
    this.page = page;
    this.root = element("figure", { class: "slope" });
    this.size = { left: 46, top: 8, width: 220, height: 92 };
    document.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => this.drop());
  }

  // Of which array the asked number is an entry, or the gradient, or the new value; undefined where there is no gradient.
  static subject(model, name) {
    const of = model.arrays.get(name).of ?? name;
    return model.arrays.has(`${of}.grad`) ? of : undefined;
  }

  // The picture of an entry; `checks` are those of its gradient, if it is computed by now.
  show(of, i, j, checks) {
    const { model, step } = this.page;
    const known = (name) =>
      model.arrays.has(name) && model.arrays.get(name).step <= step && !this.page.predict.isBlank(name, i, j);
    this.place = [of, i, j];
    this.home = model.values[of][i][j];
    this.gradient = known(`${of}.grad`) ? model.values[`${of}.grad`][i][j] : null;
    this.sides = this.gradient === null ? null : checks?.sides ?? null;
    this.after = known(`${of}.after`) ? model.values[`${of}.after`][i][j] : null;
    if (!this.dragging) this.measure();
    this.draw();
    return this.root;
  }

  // Three times as far to each side as the update goes, but neither so near that all is straight nor out of sight.
  measure() {
    const { model } = this.page;
    const update = this.after === null ? 0 : Math.abs(this.after - this.home);
    const half = Math.min(Math.max(0.5, Number.isFinite(update) ? 3 * update : 0), 20);
    const at = range(POINTS).map((k) => this.home + half * ((2 * k) / (POINTS - 1) - 1));
    this.points = at.map((x) => [x, model.lossWith(...this.place, x)]).filter(([, loss]) => Number.isFinite(loss));
    const [low, high] = this.points.length ? extremes(this.points.map(([, loss]) => loss)) : [0, 1];
    const room = 0.08 * (high - low) || 0.1;
    this.from = this.home - half;
    this.to = this.home + half;
    this.low = low - room;
    this.high = high + room;
  }

  x(value) {
    return (this.size.width * (value - this.from)) / (this.to - this.from);
  }

  y(loss) {
    return this.size.height * (1 - (loss - this.low) / (this.high - this.low));
  }

  draw() {
    const { left, top, width, height } = this.size;
    const [of, i, j] = this.place;
    const array = this.page.model.arrays.get(of);
    const full = { width: left + width + 8, height: top + height + 20 };
    const spoken = say.slopeSaid(spokenEntry(array, i, j), cellText(this.home), cellText(this.gradient ?? NaN));
    const picture = svg("svg", { ...full, role: "img", "aria-label": spoken });
    const plot = svg("svg", { x: left, y: top, width, height });
    const line = (points, kind) => {
      const at = points.map(([x, l]) => `${this.x(x).toFixed(2)},${this.y(l).toFixed(2)}`);
      plot.append(svg("path", { d: `M${at.join("L")}`, class: kind }));
    };
    if (this.points.length) line(this.points, "losses");
    const loss = this.page.model.values.loss[0][0];
    // Of a network that diverged there is nothing to be drawn.
    const there = Number.isFinite(loss) && Number.isFinite(this.home);
    for (const [slope, end] of there ? this.tangents() : []) {
      line([[this.home, loss], [end, loss + slope * (end - this.home)]], "tangent");
    }
    picture.append(svg("path", { d: `M${left},${top}V${top + height}H${left + width}`, class: "axis" }), plot);
    if (this.points.length) {
      this.label(picture, left - 5, top + 10, "end", cellText(this.high));
      this.label(picture, left - 5, top + height, "end", cellText(this.low));
    }
    for (const [value, anchor] of [[this.from, "start"], [this.home, "middle"], [this.to, "end"]]) {
      if (there) this.label(picture, left + this.x(value), top + height + 15, anchor, cellText(value));
    }
    const [x, y] = there ? [this.x(this.home), this.y(loss)] : [0, 0];
    const point = svg("circle", { cx: left + x, cy: top + y, r: 5, class: "point", visibility: there ? "visible" : "hidden" });
    if (array.editable) {
      point.classList.add("movable");
      point.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        this.page.asking.pinned = true;
        this.dragging = this.place;
      });
    }
    picture.append(point);
    if (this.after !== null) this.drawArrow(picture, loss);
    const caption = element("figcaption");
    const slope = this.sides
      ? say.twoSlopes(cellText(this.sides[0]), cellText(this.sides[1]))
      : this.gradient === null ? "" : say.oneSlope(cellText(this.gradient));
    caption.textContent = [say.lossOver, slope, array.editable ? say.dragIt : ""].filter(Boolean).join(" ");
    this.root.replaceChildren(picture, caption);
  }

  label(picture, x, y, anchor, text) {
    picture.append(svg("text", { x, y, "text-anchor": anchor }, text));
  }

  // [slope, how far] of each tangent: one through the point to both ends, at a kink one on each side.
  tangents() {
    if (this.gradient === null) return [];
    const [left, right] = this.sides ?? [this.gradient, this.gradient];
    return [[left, this.from], [right, this.to]].filter(([slope]) => Number.isFinite(slope));
  }

  // From the point to that of the number after the update, if the two can be told apart.
  drawArrow(picture, loss) {
    const there = this.page.model.lossWith(...this.place, this.after);
    if (![this.after, there, loss].every(Number.isFinite)) return;
    const arrow = svg("svg", { x: this.size.left, y: this.size.top, width: this.size.width, height: this.size.height });
    const [x0, y0, x1, y1] = [this.x(this.home), this.y(loss), this.x(this.after), this.y(there)];
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (length < 3) return;
    const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
    const head = [[0, 0], [-9, 4], [-9, -4]].map(([a, b]) => `${x1 + a * dx - b * dy},${y1 + a * dy + b * dx}`);
    arrow.append(svg("path", { d: `M${x0},${y0}L${x1 - 6 * dx},${y1 - 6 * dy}`, class: "arrow" }));
    arrow.append(svg("polygon", { points: head.join(" "), class: "arrow" }));
    picture.append(arrow);
  }

  drag(event) {
    if (!this.dragging) return;
    const { left } = this.root.firstChild.getBoundingClientRect();
    const share = Math.min(Math.max((event.clientX - left - this.size.left) / this.size.width, 0), 1);
    const value = Number((this.from + share * (this.to - this.from)).toFixed(2));
    const [name, i, j] = this.dragging;
    if (value !== this.page.model.values[name][i][j]) {
      this.page.editing.change(() => (this.page.model.values[name][i][j] = value));
    }
  }

  drop() {
    if (!this.dragging) return;
    this.dragging = null;
    this.page.asking.refresh();
  }
}

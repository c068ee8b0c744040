"use strict";
// The shortened form, for a network on MNIST: the same steps, but of each array its size, its histogram and what a
// histogram hides; in place of the units, the first layer's weights and their gradient as images.

// The contents of a frame: a histogram of the array's numbers, blue above 0 and orange below, and their root mean square;
// of labels how often each occurs.
class Histograms {
  constructor(model, onAsk) {
    this.model = model;
    this.onAsk = onAsk;
    this.boxes = new Map();
  }

  draw(array) {
    const box = element("div", { class: "histogram", tabindex: 0, role: "img" });
    box.addEventListener("focus", () => this.onAsk(array.name));
    box.addEventListener("pointerenter", () => this.onAsk(array.name));
    this.boxes.set(array.name, box);
    return box;
  }

  fill(array, _, computed) {
    const box = this.boxes.get(array.name);
    const { size, mean, rms: typical, labels, counts = labels, low = 0, high = labels?.length - 1 } =
      this.model.recording.summary[array.name];
    const text = labels ? say.labels(size) : size === 1 ? cellText(mean) : say.rms(cellText(typical));
    box.setAttribute("aria-label", `${spokenName(array)}: ${computed ? text : say.notYet}`);
    const [width, height, bars] = [150, 44, counts.length];
    const picture = svg("svg", { width, height: height + 14, "aria-hidden": "true" });
    if (computed && size > 1) {
      const most = Math.max(...counts);
      for (const [k, count] of counts.entries()) {
        const [from, to] = [k, k + 1].map((edge) => low + (edge * (high - low)) / bars);
        const tall = (count / most) * height;
        const place = { x: (k * width) / bars + 0.5, width: width / bars - 1, y: height - tall, height: tall };
        picture.append(svg("rect", { ...place, class: labels ? "around0" : to <= 0 ? "negative" : from >= 0 ? "positive" : "around0" }));
      }
      picture.append(svg("text", { x: 0, y: height + 12 }, cellText(low)));
      picture.append(svg("text", { x: width, y: height + 12, "text-anchor": "end" }, cellText(high)));
    }
    box.replaceChildren(picture, element("p", {}, computed ? text : " "));
  }
}

// A layer's weights as one image a unit, 28 by 28, each unit's largest weight at full colour.
class Images {
  constructor(recording, root) {
    this.recording = recording;
    const { side, units, total } = recording.images;
    this.canvases = ["weight", "gradient"].map((kind) => {
      const figure = element("figure", { class: "images" });
      const canvas = element("canvas", { role: "img" });
      const what = kind === "weight" ? say.weightImages : say.gradientImages;
      const caption = element("figcaption", {}, say.imagesOf(what, units, total));
      canvas.setAttribute("aria-label", caption.textContent);
      figure.append(caption, canvas);
      root.append(figure);
      return [kind, figure, canvas];
    });
    this.side = side;
    this.units = units;
    root.append(this.drawDigits(recording.digits));
  }

  // The first digits, each with its label and what the network takes it for before the step.
  drawDigits(digits) {
    const figure = element("figure", { class: "images digits" }, element("figcaption", {}, say.digits));
    for (const { pixels, label, prediction, probability } of digits) {
      const canvas = element("canvas", { role: "img", width: this.side, height: this.side });
      const said = say.digitSaid(label, prediction, probability.toFixed(2));
      canvas.setAttribute("aria-label", said);
      const pen = canvas.getContext("2d");
      const image = pen.createImageData(this.side, this.side);
      for (const [k, character] of [...atob(pixels)].entries()) image.data.set([0, 0, 0, character.charCodeAt(0)], 4 * k);
      pen.putImageData(image, 0, 0);
      const text = element("span", { class: prediction === label ? "verdict agree" : "verdict disagree" });
      text.textContent = `${prediction === label ? "✓" : "✗"} ${said}`;
      figure.append(element("p", {}, canvas, text));
    }
    return figure;
  }

  draw(step, gradientStep) {
    const [paper, positive, negative] = ["--raised", "--positive", "--negative"].map(colourOf);
    for (const [kind, figure, canvas] of this.canvases) {
      figure.classList.toggle("waiting", kind === "gradient" && step < gradientStep);
      figure.classList.toggle("active", kind === "gradient" && step === gradientStep);
      if (kind === "gradient" && step < gradientStep) canvas.hidden = true;
      else this.paint(canvas, this.recording.images[kind], paper, positive, negative);
    }
  }

  // Bytes 0 to 254 stand for -1 to 1, 127 for 0.
  paint(canvas, base64, paper, positive, negative) {
    canvas.hidden = false;
    const { side, units } = this;
    const across = Math.min(units, 16);
    canvas.width = across * (side + 2);
    canvas.height = Math.ceil(units / across) * (side + 2);
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const pen = canvas.getContext("2d");
    for (const unit of range(units)) {
      const image = pen.createImageData(side, side);
      for (const k of range(side * side)) {
        const x = (bytes[unit * side * side + k] - 127) / 127;
        const towards = x < 0 ? negative : positive;
        for (const c of range(3)) image.data[4 * k + c] = paper[c] + Math.abs(x) * (towards[c] - paper[c]);
        image.data[4 * k + 3] = 255;
      }
      pen.putImageData(image, (unit % across) * (side + 2), Math.floor(unit / across) * (side + 2));
    }
  }
}

class Shortened extends BasePage {
  constructor(recording) {
    super(recording);
    document.body.classList.add("shortened");
    const histograms = new Histograms(this.model, (name) => this.ask(name));
    this.strip = new Strip(this.model, byId("strip"), histograms);
    this.images = new Images(recording, byId("drawing"));
    byId("lr").closest("label").hidden = true;
    byId("samples").hidden = true;
    this.panel = byId("answer");
    this.panel.replaceChildren(element("p", { class: "hint" }, say.hintShort));
    this.begin();
    whenColoursChange(() => this.refresh());
  }

  refresh() {
    super.refresh();
    const [first] = this.model.recording.layers.filter((layer) => layer.activation === null);
    this.images.draw(this.step, this.model.arrays.get(`${first.name}.weight.grad`).step);
    const { loss } = this.model.recording.summary;
    const known = this.model.arrays.get("loss").step <= this.step;
    byId("loss").innerHTML = known ? ml.math(ml.mi("L"), ml.equals, ml.mn(tidy(loss.mean.toPrecision(7)))) : "";
    if (this.asked) this.ask(this.asked);
  }

  ask(name) {
    this.asked = name;
    const array = this.model.arrays.get(name);
    const { rms: typical, mean, zeros, size, low, high, labels } = this.model.recording.summary[name];
    const formula = element("div", { class: "formula" });
    const indices = { both: ["n", "j"], row: ["n", 0], column: [0, "j"], none: [0, 0] }[array.axes];
    const [i, j] = array.edge !== undefined ? ["i", "j"] : indices;
    if (array.maker) {
      const right = ml.math(ml.infix("="), ...array.maker.formula(i, j));
      formula.innerHTML = `<p>${ml.math(entrySymbol(array, i, j))} ${right}</p>`;
    }
    const numbers = element("p", {});
    numbers.textContent = array.step <= this.step
      ? labels
        ? say.labelCounts(labels.map((count, label) => `${label}: ${count}`).join(", "))
        : size === 1
          ? say.oneNumber(cellText(mean))
          : say.summary(size, ...[low, high, mean, typical].map(cellText), ((100 * zeros) / size).toFixed(1))
      : say.computedByStep(array.step);
    const heading = element("h2", {}, element("span", { class: "spoken" }, spokenName(array)));
    this.panel.replaceChildren(heading, formula, numbers);
  }
}

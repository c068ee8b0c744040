"use strict";
// Puts the page together: one model, the views that show it at a step, and what the reader can do.

class Page extends BasePage {
  constructor(recording) {
    super(recording);
    this.mine = new Mine(this.model);
    this.sample = 0;
    this.tables = new Tables(this.model, this.mine);
    this.strip = new Strip(this.model, byId("strip"), this.tables);
    this.training = new Training(this.model);
    this.network = new Network(this.model, byId("drawing"));
    this.editing = new Editing(this);
    this.predict = new Predict(this);
    this.network.isBlank = (...cell) => this.predict.isBlank(...cell);
    this.tables.isBlank = this.network.isBlank;
    this.slope = new SlopePicture(this);
    this.pathsView = new PathsView(this);
    this.asking = new Asking(this);
    this.hunt = new Hunt(this);
    this.plane = new Plane(this);
    this.health = new Health(this);
    this.running = new Running(this);
    this.chooseSample();
    this.mine.tell(byId("mine"), (step) => this.goTo(step));
    this.begin();
    this.health.comeBack();
  }

  refresh() {
    if (this.sample >= this.model.samples) { // a point that was added is gone
      this.showSample(0);
      return;
    }
    this.mine.refresh();
    this.tables.hurried = this.isRunning;
    super.refresh();
    this.editing.showLoss(this.step);
    this.running.show();
    this.hunt.show(this.step);
    this.plane?.draw();
    this.health?.show(this.step);
    this.predict.show();
    this.asking.refresh();
  }

  get trained() {
    return this.training.at;
  }

  trainTo(step) {
    this.running.goTo(step);
  }

  // Whether another frame of training follows this one.
  get isRunning() {
    return Boolean(this.running?.frame);
  }

  drawNetwork() {
    if (this.network.seen || !this.isRunning) this.network.draw(this.step, this.sample);
  }

  mark(...marks) {
    this.marks = marks;
    this.light(...marks);
  }

  light(...marks) {
    this.tables.mark(...marks);
    this.network.marks = marks;
    this.drawNetwork();
  }

  // Which row of the batch the network shows.
  chooseSample() {
    const box = byId("samples");
    box.hidden = this.model.samples === 1;
    if (this.model.windowed) {
      const number = element("input", { type: "number", min: 0, value: 0, step: 1, id: "sample", "aria-label": say.sample });
      number.addEventListener("input", () => {
        if (number.valueAsNumber in range(this.model.samples)) this.showSample(number.valueAsNumber);
      });
      box.append(number);
      return;
    }
    for (const n of range(this.model.samples)) {
      const input = element("input", { type: "radio", name: "sample", value: n });
      input.checked = n === 0;
      input.addEventListener("change", () => this.showSample(n));
      box.append(element("label", {}, input, ` ${n}`));
    }
  }

  showSample(n) {
    if (n === this.sample) return;
    this.sample = n;
    const { asked } = this.asking;
    if (asked && this.model.arrays.get(asked[0]).batch) this.asking.asked = [asked[0], n, asked[2]];
    if (!this.model.windowed) {
      allThat(`#samples input[value="${n}"]`)[0].checked = true;
      this.drawNetwork();
      return;
    }
    this.tables.sample = n;
    const number = byId("sample");
    if (focused() !== number) number.value = n;
    this.refresh();
  }
}

// The button goes against what the system asks for, and back.
function chooseTheme() {
  const dark = () => {
    const chosen = document.documentElement.style.colorScheme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  byId("theme").addEventListener("click", () => {
    document.documentElement.style.colorScheme = dark() ? "light" : "dark";
  });
}

function crc32(text) {
  let crc = -1;
  for (const letter of text) {
    crc ^= letter.codePointAt(0);
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (~crc >>> 0).toString(16).padStart(8, "0");
}

// Whether these are the numbers that were written into the page, to the last digit.
function isIntact({ textContent, dataset }) {
  return crc32(textContent) === dataset.crc32;
}

function start() {
  const holder = byId("recording");
  if (!isIntact(holder)) {
    byId("subtitle").textContent = say.damaged;
    return null;
  }
  const recorded = JSON.parse(holder.textContent);
  const asked = recorded.summary ? null : networkOfAddress();
  const recording = asked ? remade(recorded, asked) : recorded;
  byId("subtitle").textContent = say.subtitle(recording.about);
  chooseTheme();
  if (recording.summary) return new Shortened(recording);
  return new Page(recording);
}

const page = start();

"use strict";
// Predict before you see: in each computed array some numbers are blank, and the reader types them. Three digits are
// enough; a wrong number that comes of a rule missed is told which. On paper the blanks are a worksheet, with the answers
// on a sheet of their own.

const BLANKS_EACH = 2;

// Rules that are missed in a forward pass or an update, by what the wrong number is: of each array the first that fits is told.
// Those of the backward pass are in mistakes.js.
const SLIPS = {
  biasMissing: ({ link, name }, i, j, get) =>
    link?.kind.edges && name === link.output ? get(name, i, j) - get(`${link.layer.name}.bias`, 0, j) : NaN,
  activationMissing: ({ link, name }, i, j, get) =>
    link && !link.kind.edges && name === link.output ? get(link.input, i, j) : NaN,
  notNormalized: ({ name, model }, i, j, get) => (name === "loss.softmax" ? Math.exp(get(model.logits, i, j)) : NaN),
  summedNotMean: ({ name, model }, i, j, get) => {
    const { rows, cols } = model.arrays.get("loss.terms");
    return name === "loss" ? get("loss", 0, 0) * rows * cols : NaN;
  },
  minusMissing: ({ name }, i, j, get) => (name === "loss.terms" ? -get(name, i, j) : NaN),
  decimalLogarithm: ({ name }, i, j, get) => (name === "loss.terms" ? get(name, i, j) / Math.LN10 : NaN),
  rateMissing: ({ array, model, plain }, i, j, get) =>
    array.after && array.of && plain ? get(array.of, i, j) - (get(array.of, i, j) - get(array.name, i, j)) / model.lr : NaN,
  uphill: ({ array }, i, j, get) => (array.after && array.of ? 2 * get(array.of, i, j) - get(array.name, i, j) : NaN),
  signMissed: ({ name }, i, j, get) => -get(name, i, j),
};

class Predict {
  constructor(page) {
    this.page = page;
    this.on = false;
    this.known = new Set(); // blanks that were answered, or given up
    this.button = byId("predict");
    this.message = byId("predicted");
    this.answers = byId("answers");
    this.button.addEventListener("click", () => this.turn(!this.on));
    byId("worksheet").addEventListener("click", () => print());
    addEventListener("beforeprint", () => this.toPaper());
    addEventListener("afterprint", () => this.fromPaper());
  }

  turn(on) {
    Object.assign(this, { on, known: new Set(), right: 0 });
    this.button.setAttribute("aria-pressed", on);
    document.body.classList.toggle("predicting", on);
    this.page.asking.clear();
    this.page.refresh();
  }

  // Which numbers are blank: of each array that the page computes two, here and there; of a single number that one.
  isChosen({ maker, rows, cols, name, batch }, i, j) {
    if (!maker) return false;
    const [row, count] = this.page.model.windowed && batch ? [0, cols] : [i, rows * cols];
    const apart = Math.max(1, Math.floor(count / BLANKS_EACH));
    const first = [...name].reduce((total, letter) => total + letter.charCodeAt(0), 0) % apart;
    return (row * cols + j) % apart === first && (row * cols + j) < apart * BLANKS_EACH;
  }

  isBlank(name, i, j) {
    return this.on && this.isChosen(this.page.model.arrays.get(name), i, j) && !this.known.has([name, i, j].join("/"));
  }

  // A number for a formula: of a blank one none, which is written as a question mark.
  told(name, i, j) {
    return this.isBlank(name, i, j) ? NaN : this.page.model.values[name][i][j];
  }

  hide = (/** @type {string} */ html) => (this.on ? html.replaceAll(ml.mn("NaN"), ml.mn("?")) : html);

  // The blanks that are there by this step, and whether one of them is open.
  reached() {
    return this.blanks().filter(({ array }) => array.step <= this.page.step);
  }

  isOpen() {
    return this.on && this.reached().some(({ array, i, j }) => this.isBlank(array.name, i, j));
  }

  show() {
    if (!this.on) return put(this.message, "text", "");
    const blanks = this.reached();
    const open = blanks.filter(({ array, i, j }) => this.isBlank(array.name, i, j)).length;
    return put(this.message, "text", say.predicting(open, blanks.length));
  }

  blanks() {
    const { model, sample } = this.page;
    return model.makers().flatMap((array) =>
      (model.windowed && array.batch ? [sample] : range(array.rows)).flatMap((i) =>
        range(array.cols).filter((j) => this.isChosen(array, i, j)).map((j) => ({ array, i, j }))));
  }

  // The field of a blank number in its answer.
  field(array, i, j) {
    const input = element("input", { type: "text", inputmode: "decimal", autocomplete: "off" });
    input.setAttribute("aria-label", spokenEntry(array, i, j));
    const verdict = element("span", { class: "verdict", role: "status" });
    const give = element("button", { type: "button" }, say.showIt);
    give.addEventListener("click", () => this.close(array, i, j));
    const check = element("button", { type: "button" }, say.checkIt);
    const judge = () => {
      const typed = Number(input.value.trim().replace(/[−–]/g, "-").replace(",", "."));
      if (input.value.trim() === "" || !Number.isFinite(typed)) verdict.textContent = say.typeANumber;
      else if (agrees(typed, this.page.model.values[array.name][i][j])) this.close(array, i, j);
      else verdict.textContent = `✗ ${this.whatIsMissed(array, i, j, typed) ?? say.notThatNumber}`;
    };
    check.addEventListener("click", judge);
    input.addEventListener("keydown", (event) => event.key === "Enter" && judge());
    const symbol = element("span");
    symbol.innerHTML = ml.math(entrySymbol(array, i, j), ml.equals);
    return element("p", { class: "field" }, element("label", {}, symbol, " ", input), " ", check, " ", give, " ", verdict);
  }

  close(array, i, j) {
    this.known.add([array.name, i, j].join("/"));
    if (this.page.asking.panel.contains(focused())) focused().blur();
    this.page.refresh();
  }

  // The words for the rule with which the typed number would be right.
  whatIsMissed(array, i, j, typed) {
    const { model } = this.page;
    const get = (name, k, l) => model.values[name][k][l];
    for (const name of Object.keys(MISTAKES)) {
      const place = placesFor(name, model).find((one) => one.name === array.name);
      const wrong = place && wrongMaker(name, place, array.maker, model).value(i, j, get);
      if (wrong !== undefined && agrees(typed, wrong)) return say.missed(say.causes[name]);
    }
    const link = model.links.find(({ output }) => output === array.name);
    const place = { array, name: array.name, link, model, plain: !model.kept.length };
    const slip = Object.keys(SLIPS).find((name) => agrees(typed, SLIPS[name](place, i, j, get)));
    return slip && say.slips[slip];
  }

  // A worksheet goes as far as the step that is shown; before any blank, to the end.
  toPaper() {
    const { page } = this;
    this.from = page.step;
    if (this.on && !this.reached().length) page.goTo(page.model.steps.length - 1);
    this.writeAnswers();
  }

  fromPaper() {
    if (this.page.step !== this.from) this.page.goTo(this.from);
  }

  // The second sheet: every blank of the first one with its number.
  writeAnswers() {
    this.answers.replaceChildren();
    if (!this.on) return;
    this.answers.append(element("h2", {}, say.answers));
    for (const { array, i, j } of this.reached()) {
      const line = element("p");
      const value = this.page.model.values[array.name][i][j];
      line.innerHTML = ml.math(entrySymbol(array, i, j), ml.equals, ml.mn(cellText(value)));
      this.answers.append(line);
    }
  }
}

// To three digits, or as near as a cell shows it.
function agrees(typed, value) {
  if (!Number.isFinite(value)) return false;
  const digit = value === 0 ? 0 : 10 ** (Math.floor(Math.log10(Math.abs(value))) - 2);
  return Math.abs(typed - value) <= Math.max(digit, 0.001) * 0.5001;
}

"use strict";
// Any number can be asked: by hovering, tapping or focusing its cell. The answer is its formula with symbols, then with
// the numbers put in, then the result; for a gradient also what torch and a numerical derivative say.

class Asking {
  constructor(page) {
    this.page = page;
    this.panel = byId("answer");
    this.asked = null;
    this.told = null;
    this.took = 0; // milliseconds of the last answer
    this.waited = 0; // pictures of the page since
    this.pinned = false;
    document.addEventListener("pointerover", (event) => this.hover(event));
    document.addEventListener("focusin", (event) => {
      const cell = this.cellOf(event.target);
      if (cell) this.ask(cell, true);
    });
    document.addEventListener("click", (event) => this.click(event));
    document.addEventListener("keydown", (event) => this.key(event));
    document.addEventListener("mousedown", (event) => this.press(event));
    this.clear();
  }

  cellOf(node) {
    const holder = node.closest?.("[data-name]");
    return holder && [holder.dataset.name, Number(holder.dataset.row), Number(holder.dataset.col)];
  }

  hover(event) {
    if (this.pinned || event.pointerType === "touch") return;
    const cell = this.cellOf(event.target);
    if (cell) this.ask(cell, false);
    else if (this.asked && !event.target.closest("#asked")) this.clear();
  }

  click(event) {
    const cell = this.cellOf(event.target);
    if (cell) this.ask(cell, true);
    else if (!event.composedPath().some((node) => node.matches?.("#asked, #controls, #training, #prediction, #plane, #health, #hunt, header"))) this.clear();
  }

  // A number pressed with the mouse is asked, but not focused: the arrow keys go on stepping.
  press(event) {
    if (!event.target.closest("td[data-name]")) return;
    focused().blur();
    event.preventDefault();
  }

  // In an array the arrow keys go from cell to cell; Enter goes to the answer, Escape back, and then lets go.
  key(event) {
    if (event.key === "Escape" && this.asked) {
      if (this.panel.contains(event.target)) return this.page.tables.cell(...this.asked).focus();
      this.clear();
      focused().blur();
    }
    const cell = event.target.matches("td[data-name]") && this.cellOf(event.target);
    if (!cell && event.key === "Enter" && event.target === document.body && this.pinned) this.toAnswer(event);
    if (!cell) return undefined;
    const [name, i, j] = cell;
    const move = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (move) {
      event.preventDefault();
      const next = this.page.tables.cell(name, i + move[0], j + move[1]);
      if (next) {
        event.target.tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
      }
    } else if (event.key === "Enter") {
      this.toAnswer(event);
    }
    return undefined;
  }

  toAnswer(event) {
    event.preventDefault();
    this.panel.querySelector(".field input, p button")?.focus();
  }

  ask(cell, pinned) {
    const same = cell.join("/") === this.asked?.join("/");
    this.pinned = pinned;
    if (same) return;
    this.asked = cell;
    if (this.panel.contains(focused())) focused().blur();
    const array = this.page.model.arrays.get(cell[0]);
    if (array.batch) this.page.showSample(cell[1]);
    this.refresh();
    if (pinned) this.page.strip.follow(this.page.tables.cell(...cell));
  }

  clear() {
    Object.assign(this, { asked: null, pinned: false });
    this.tell();
  }

  // While nothing is asked: what the step does, for those whose window has scrolled past the story.
  tell() {
    this.page.mark(null, [], []);
    const { title, formula } = this.page.model.steps[this.page.step];
    if (this.panel.firstChild === this.told && this.toldOf === this.page.step) return;
    const told = element("p", { class: "told", "aria-hidden": "true" });
    told.innerHTML = `<strong>${title}</strong> ${formula}`;
    this.told = told;
    this.toldOf = this.page.step;
    this.panel.replaceChildren(told, element("p", { class: "hint" }, say.hint));
  }

  // What the reader is told of the step marked, in place of an answer.
  tellVerdict(text, right) {
    this.clear();
    this.panel.replaceChildren(element("p", { class: `verdict ${right ? "agree" : "disagree"}` }, text));
  }

  // While training runs the answer is made anew at times: it takes as many pictures of the page as it takes milliseconds.
  canWait() {
    this.waited += 1;
    return this.page.isRunning && this.waited < this.took;
  }

  refresh() {
    if (!this.asked) return this.tell();
    if (this.canWait()) return this.page.drawNetwork();
    const before = performance.now();
    this.makeAnswer();
    this.took = performance.now() - before;
    this.waited = 0;
    return undefined;
  }

  makeAnswer() {
    const { model } = this.page;
    const [sources, dependents] = [model.sources(...this.asked), model.dependents(...this.asked)];
    this.page.mark(this.asked, sources, dependents);
    if (this.panel.contains(focused()) && focused().matches("input")) return this.refreshPicture();
    return this.panel.replaceChildren(...this.answer(model.arrays.get(this.asked[0]), sources, dependents));
  }

  // While a number is typed its field stays as it is.
  refreshPicture() {
    const [name, i, j] = this.asked;
    const array = this.page.model.arrays.get(name);
    const checks = this.checks(array, i, j);
    if (checks !== undefined) this.page.slope.show(SlopePicture.subject(this.page.model, name), i, j, checks);
  }

  answer(array, sources, dependents) {
    const [, i, j] = this.asked;
    const { step } = this.page;
    const parts = [this.heading(array, i, j, sources, dependents)];
    if (array.step <= step && this.page.predict.isBlank(array.name, i, j)) {
      return [...parts, copiesOf(this.page, sources), this.formula(array, i, j, false), this.page.predict.field(array, i, j)];
    }
    if (sources.length) parts.push(copiesOf(this.page, sources));
    if (array.editable) parts.push(this.page.editing.field(array, i, j));
    else if (!array.maker) parts.push(element("p", { class: "hint" }, say.keptFromBefore));
    else parts.push(this.formula(array, i, j, array.step <= step));
    const checks = this.checks(array, i, j);
    if (array.gradient && checks) parts.push(comparison(this.page, array, i, j, checks));
    else if (array.step <= step && this.page.mine.value(array.name, i, j) !== null) {
      parts.push(this.page.mine.besideOurs(array.name, i, j));
    }
    if (array.maker && array.step > step) parts.push(this.later(array));
    else if (checks !== undefined) {
      const of = SlopePicture.subject(this.page.model, array.name);
      parts.push(this.page.slope.show(of, i, j, checks));
      if (checks && !this.page.model.wrong && !this.page.predict.isOpen()) parts.push(this.page.pathsView.show(of, i, j));
    }
    return parts;
  }

  // What is known of the gradient that belongs to an entry: undefined where there is none, null where it comes later.
  checks(array, i, j) {
    const { model, step } = this.page;
    const of = SlopePicture.subject(model, array.name);
    if (of === undefined) return undefined;
    const gradient = model.arrays.get(`${of}.grad`);
    return gradient.step <= step ? checksOf(this.page, gradient, i, j) : null;
  }

  heading(array, i, j, sources, dependents) {
    const spoken = element("span", { class: "spoken" }, spokenEntry(array, i, j));
    const heading = element("h2", {}, spoken, this.relations(sources, dependents));
    const close = element("button", { type: "button", "aria-label": say.letGo, class: "close" }, "×");
    close.addEventListener("click", () => this.clear());
    heading.append(close);
    return heading;
  }

  // Each term is a <math> of its own, so that a long sum can go over several lines.
  formula(array, i, j, computed) {
    const { model } = this.page;
    const get = (name, k, l) => this.page.predict.told(name, k, l);
    const lines = element("div", { class: "formula" });
    const line = (name, html) => {
      const p = element("p", { class: name });
      p.innerHTML = html;
      lines.append(p);
    };
    line("symbols", `${ml.math(entrySymbol(array, i, j))} ${ml.math(ml.infix("="), ...array.maker.formula(i, j))}`);
    if (!computed) return lines;
    const terms = array.maker.numbers(i, j, get).map((term) => term.map(this.page.predict.hide));
    const written = terms.length > MOST_TERMS ? [...terms.slice(0, 8), [ml.mo("…")]] : terms;
    line("numbers", written.map((term, k) => ml.math(ml.infix(k ? "+" : "="), ...term)).join(" "));
    const result = ml.mn(resultText(model.values[array.name][i][j]));
    line("result", model.wrong && array.gradient ? `${say.programHas} ${ml.math(result)}` : ml.math(ml.infix("="), result));
    return lines;
  }

  later(array) {
    const button = element("button", { type: "button" }, say.computedBy(array.step));
    button.addEventListener("click", () => this.page.goTo(array.step));
    return element("p", {}, button);
  }

  relations(sources, dependents) {
    const relations = element("span", { class: "relations" });
    const from = sources.length ? say.madeFrom(sources.length) : say.isGiven;
    const into = say.goesInto(dependents.length);
    relations.innerHTML =
      `<span class="key source"></span> ${from} <span class="key dependent"></span> ${into}`;
    return relations;
  }
}

"use strict";
// Any number can be asked: by hovering, tapping or focusing its cell. The answer is its formula with symbols, then with
// the numbers put in, then the result; for a gradient also what torch and a numerical derivative say.

class Asking {
  constructor(page) {
    this.page = page;
    this.panel = document.getElementById("answer");
    this.asked = null;
    this.pinned = false;
    document.addEventListener("pointerover", (event) => this.hover(event));
    document.addEventListener("focusin", (event) => {
      const cell = this.cellOf(event.target);
      if (cell) this.ask(cell, true);
    });
    document.addEventListener("click", (event) => this.click(event));
    document.addEventListener("keydown", (event) => this.key(event));
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
    else if (!event.composedPath().some((node) => node.matches?.("#asked, #controls, #training, #take, header"))) this.clear();
  }

  // In an array the arrow keys go from cell to cell; Enter goes to the answer, Escape back, and then lets go.
  key(event) {
    if (event.key === "Escape" && this.asked) {
      if (this.panel.contains(event.target)) return this.page.tables.cell(...this.asked).focus();
      this.clear();
      document.activeElement.blur();
    }
    const cell = event.target.matches("td[data-name]") && this.cellOf(event.target);
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
      event.preventDefault();
      this.panel.querySelector(".field input, p button")?.focus();
    }
    return undefined;
  }

  ask(cell, pinned) {
    const same = cell.join("/") === this.asked?.join("/");
    this.pinned = pinned;
    if (same) return;
    this.asked = cell;
    const array = this.page.model.arrays.get(cell[0]);
    if (array.axes === "both" && array.unit !== undefined && !array.edge) this.page.showSample(cell[1]);
    this.refresh();
    if (pinned) this.page.strip.follow(this.page.tables.cell(...cell));
  }

  clear() {
    Object.assign(this, { asked: null, pinned: false });
    this.page.mark(null, [], []);
    this.tell();
  }

  // While nothing is asked: what the step does, for those whose window has scrolled past the story.
  tell() {
    const { title, formula } = this.page.model.steps[this.page.step];
    const told = element("p", { class: "told", "aria-hidden": "true" });
    told.innerHTML = `<strong>${title}</strong> ${formula}`;
    const hint = "Hover, tap or focus any number to ask where it comes from. An underlined one can be changed.";
    this.panel.replaceChildren(told, element("p", { class: "hint" }, hint));
  }

  refresh() {
    if (!this.asked) return this.tell();
    const { model } = this.page;
    const [sources, dependents] = [model.sources(...this.asked), model.dependents(...this.asked)];
    this.page.mark(this.asked, sources, dependents);
    if (this.panel.contains(document.activeElement) && document.activeElement.matches("input")) return undefined;
    return this.panel.replaceChildren(...this.answer(model.arrays.get(this.asked[0]), sources, dependents));
  }

  answer(array, sources, dependents) {
    const [, i, j] = this.asked;
    const { step } = this.page;
    const parts = [this.heading(array, i, j, sources, dependents)];
    if (!array.maker) parts.push(this.page.editing.field(array, i, j));
    else parts.push(this.formula(array, i, j, array.step <= step));
    if (array.gradient && array.step <= step) parts.push(this.comparison(array, i, j));
    else if (array.step <= step && this.page.mine.value(array.name, i, j) !== null) {
      parts.push(this.page.mine.besideOurs(array.name, i, j));
    }
    if (array.maker && array.step > step) parts.push(this.later(array));
    return parts;
  }

  heading(array, i, j, sources, dependents) {
    const spoken = element("span", { class: "spoken" }, spokenEntry(array, i, j));
    const heading = element("h2", {}, spoken, this.relations(sources, dependents));
    const close = element("button", { type: "button", "aria-label": "Let go (Escape)", class: "close" }, "×");
    close.addEventListener("click", () => this.clear());
    heading.append(close);
    return heading;
  }

  // Each term is a <math> of its own, so that a long sum can go over several lines.
  formula(array, i, j, computed) {
    const { model } = this.page;
    const get = (name, k, l) => model.values[name][k][l];
    const lines = element("div", { class: "formula" });
    const line = (name, html) => {
      const p = element("p", { class: name });
      p.innerHTML = html;
      lines.append(p);
    };
    line("symbols", `${math(entrySymbol(array, i, j))} ${math(infix("="), ...array.maker.formula(i, j))}`);
    if (!computed) return lines;
    const terms = array.maker.numbers(i, j, get);
    line("numbers", terms.map((term, k) => math(infix(k ? "+" : "="), ...term)).join(" "));
    line("result", math(infix("="), mn(resultText(model.values[array.name][i][j]))));
    return lines;
  }

  later(array) {
    const button = element("button", { type: "button" }, `Step ${array.step} computes it: go there`);
    button.addEventListener("click", () => this.page.goTo(array.step));
    return element("p", {}, button);
  }

  relations(sources, dependents) {
    const count = (n) => (n === 1 ? "1 number" : `${n} numbers`);
    const relations = element("span", { class: "relations" });
    const from = sources.length ? `made from ${count(sources.length)}` : "given";
    const into = dependents.length ? `goes into ${count(dependents.length)}` : "goes into none";
    relations.innerHTML =
      `<span class="key source"></span> ${from} <span class="key dependent"></span> ${into}`;
    return relations;
  }

  // What two others say of a gradient: as recorded, or, after a change, what this page can compute itself.
  comparison(array, i, j) {
    const { model } = this.page;
    const ours = model.values[array.name][i][j];
    const checks = model.recording.checks[array.name];
    const edited = model.isEdited();
    const at = (kind) => asRows(checks[kind], array.shape, array.overSamples)[i][j];
    const [loss, home] = [(x) => model.lossWith(array.of, i, j, x), model.values[array.of][i][j]];
    const [numerical, bound] = edited ? numericalDerivative(loss, home) : [at("numerical"), at("bound")];
    const sides = edited ? sidesOfKink(loss, home) : (checks.sides[`${i},${j}`] ?? null);
    const torch = edited || !checks.torch ? null : at("torch");
    const [low, high, error] = sides
      ? [Math.min(sides[0], sides[1]), Math.max(sides[0], sides[1]), sides[2]]
      : [numerical, numerical, bound];
    const own = this.page.mine.value(array.name, i, j);
    const fits = (x) => low - error <= x && x <= high + error;
    const others = fits(ours) && fits(torch ?? ours);
    const agree = others && fits(own ?? ours);
    const table = element("table", { class: "comparison" });
    table.innerHTML =
      this.page.mine.line(array.name, i, j, ours) +
      `<tr><th scope="row">ours</th><td>${resultText(ours)}</td><td></td></tr>` +
      (torch === null ? "" : `<tr><th scope="row">torch autograd</th><td>${resultText(torch)}</td>` +
        `<td>${ours === torch ? "the same to the last bit" : `differs by ${smallText(ours - torch)}`}</td></tr>`) +
      (sides === null
        ? `<tr><th scope="row">numerical</th><td>${resultText(numerical)}</td><td>± ${smallText(bound)}</td></tr>`
        : `<tr><th scope="row">on the left</th><td>${resultText(sides[0])}</td><td>± ${smallText(error)}</td></tr>` +
          `<tr><th scope="row">on the right</th><td>${resultText(sides[1])}</td><td>± ${smallText(error)}</td></tr>`);
    const verdict = element("p", { class: `verdict ${agree ? "agree" : "disagree"}` });
    const count = 2 + (torch !== null) + (own !== null);
    const values = count === 2 ? "Both values" : `The ${count === 3 ? "three" : "four"} values`;
    const kink = "an activation has a kink here, and the numerical derivative two values";
    const [right, wrong] = sides
      ? [`Between the two sides: ${kink}. Either may be taken, and any between them.`, `Not between the two sides: ${kink}.`]
      : [`${values} agree: within the numerical derivative’s error bound.`,
         others ? "Yours is wrong: the others agree." : `${values} do not agree.`];
    verdict.textContent = agree ? `✓ ${right}` : `✗ ${wrong}`;
    const note = element("p", { class: "hint" });
    note.textContent = checks.torch
      ? this.page.training.at
        ? say.torchOnlyFirst
        : "You changed a number: torch, which was asked when this was recorded, has no say here."
      : "torch was not installed where this was recorded.";
    return element("div", { class: "comparing" }, table, verdict, ...(torch === null ? [note] : []));
  }
}

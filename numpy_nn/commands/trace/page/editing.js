"use strict";
// Changing what is given: an input, a label, a parameter, the learning rate. All else is computed again at once.

class Editing {
  constructor(page) {
    this.page = page;
    this.rate = byId("lr");
    this.reset = byId("reset");
    this.rate.value = page.model.lr;
    this.whileTyping(this.rate, (lr) => lr >= 0, say.anyRate, () => page.model.lr, (lr) => (page.model.lr = lr));
    this.reset.addEventListener("click", () => {
      page.model.load();
      page.training.restart();
      this.rate.setCustomValidity("");
      page.running.goTo(0);
    });
  }

  // The field in which the asked number is changed.
  field(array, i, j) {
    const { model } = this.page;
    const label = array.editable === "label";
    const input = element("input", { type: "number", step: label ? 1 : "any", value: model.values[array.name][i][j] });
    const share = array.editable === "probability";
    const wanted = label ? say.aClass(model.classes - 1) : share ? say.aShare : say.anyNumber;
    if (label) Object.assign(input, { min: 0, max: model.classes - 1 });
    input.setAttribute("aria-label", spokenEntry(array, i, j));
    const aClass = (x) => Number.isInteger(x) && x >= 0 && x < model.classes;
    const fine = label ? aClass : share ? (x) => x >= 0 && x <= 1 : (x) => Math.abs(x) <= 1e6;
    const set = (x) => (model.values[array.name][i][j] = x);
    this.whileTyping(input, fine, wanted, () => model.values[array.name][i][j], set);
    const symbol = element("span");
    symbol.innerHTML = ml.math(entrySymbol(array, i, j), ml.equals);
    const hint = element("span", { class: "hint" }, say.allFollows(wanted));
    return element("p", { class: "field" }, element("label", {}, symbol, " ", input), " ", hint);
  }

  // What is typed counts at once, as long as it is fine. When it no longer is, what it began with, such as the 1 of 1e9,
  // does not stay: the number is again what it was before.
  whileTyping(input, isFine, wanted, get, set) {
    let before = get();
    input.addEventListener("focus", () => (before = get()));
    input.addEventListener("input", () => {
      const x = input.valueAsNumber;
      const fine = isFine(x);
      input.setCustomValidity(fine ? "" : say.expected(wanted));
      input.reportValidity();
      const value = fine ? x : before;
      if (value !== get()) this.change(() => set(value));
    });
    input.addEventListener("blur", () => {
      if (input.validity.valid) return;
      input.value = get();
      input.setCustomValidity("");
    });
  }

  change(set) {
    this.page.running.pause();
    set();
    this.page.model.compute();
    this.page.training.changed();
    this.page.refresh();
  }

  // The loss now and as recorded, once it is known; in the end what the step has made of it.
  showLoss(step) {
    const { model, training } = this.page;
    const edited = model.isEdited();
    this.reset.hidden = !edited;
    if (focused() !== this.rate) this.rate.value = model.lr;
    const known = model.arrays.get("loss").step <= step && !this.page.predict.isBlank("loss", 0, 0);
    const changed = edited && training.at === 0;
    if (!known) return this.write(changed ? say.changed : "", []);
    const again = model.arrays.get("loss.after").step <= step && !this.page.predict.isBlank("loss.after", 0, 0);
    const number = ml.math(ml.mn(""));
    const parts = [
      [ml.math(ml.mi("L"), ml.equals, ml.mn("")), model.values],
      ...(changed ? [[`, ${say.recorded(number)}`, model.recorded]] : []),
      ...(again ? [[`; ${say.afterTheStep} ${number}`, { loss: model.values["loss.after"] }]] : []),
    ];
    return this.write(parts.map(([html]) => html).join(""), parts.map(([, { loss }]) => tidy(loss[0][0].toPrecision(7))));
  }

  // Numbers in a line of which all else seldom changes: MathML is not parsed at each step of training.
  write(html, numbers) {
    const line = byId("loss");
    put(line, "html", html);
    for (const [k, node] of line.querySelectorAll("mn").entries()) put(node, "text", numbers[k]);
  }
}

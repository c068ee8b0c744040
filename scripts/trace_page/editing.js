"use strict";
// Changing what is given: an input, a label, a parameter, the learning rate. All else is computed again at once.

class Editing {
  constructor(page) {
    this.page = page;
    this.rate = document.getElementById("lr");
    this.reset = document.getElementById("reset");
    this.rate.value = page.model.lr;
    this.rate.addEventListener("input", () => {
      const lr = this.rate.valueAsNumber;
      if (this.accept(this.rate, lr >= 0, "a number ≥ 0")) this.change(() => (page.model.lr = lr));
    });
    this.reset.addEventListener("click", () => {
      page.model.load();
      this.rate.value = page.model.lr;
      this.rate.setCustomValidity("");
      page.refresh();
    });
  }

  // The field in which the asked number is changed.
  field(array, i, j) {
    const { model } = this.page;
    const label = array.editable === "label";
    const input = element("input", { type: "number", step: label ? 1 : "any", value: model.values[array.name][i][j] });
    const wanted = label ? `a class, 0 to ${model.classes - 1}` : "a number";
    if (label) Object.assign(input, { min: 0, max: model.classes - 1 });
    input.setAttribute("aria-label", spokenEntry(array, i, j));
    input.addEventListener("input", () => {
      const x = input.valueAsNumber;
      const aClass = Number.isInteger(x) && x >= 0 && x < model.classes;
      const fine = label ? aClass : Math.abs(x) <= 1e6;
      if (this.accept(input, fine, wanted)) this.change(() => (model.values[array.name][i][j] = x));
    });
    const symbol = element("span");
    symbol.innerHTML = math(entrySymbol(array, i, j), equals);
    const hint = element("span", { class: "hint" }, `${wanted}; all that depends on it follows`);
    return element("p", { class: "field" }, element("label", {}, symbol, " ", input), " ", hint);
  }

  accept(input, fine, wanted) {
    input.setCustomValidity(fine ? "" : `expected ${wanted}`);
    input.reportValidity();
    return fine;
  }

  change(set) {
    set();
    this.page.model.compute();
    this.page.refresh();
  }

  // The loss now and as recorded, once it is known; in the end what the step has made of it.
  showLoss(step) {
    const { model } = this.page;
    const line = document.getElementById("loss");
    const edited = model.isEdited();
    this.reset.hidden = !edited;
    if (model.arrays.get("loss").step > step) {
      line.innerHTML = edited ? "changed" : "";
      return;
    }
    const now = math(mi("L"), equals, mn(tidy(model.values.loss[0][0].toPrecision(7))));
    const known = edited ? `${now}, recorded ${tidy(model.recorded.loss[0][0].toPrecision(7))}` : now;
    const again = model.arrays.get("loss.after").step <= step;
    const after = tidy(model.values["loss.after"][0][0].toPrecision(7));
    line.innerHTML = again ? `${known}; after the step ${math(mn(after))}` : known;
  }
}

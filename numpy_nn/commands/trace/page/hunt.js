"use strict";
// Find the mistake: one formula of the backward pass is wrong, and which one is hidden. The reader compares gradients with
// their numerical derivatives, marks a step, and is told whether it is the guilty one.

class Hunt {
  constructor(page) {
    this.page = page;
    this.menu = byId("mistake");
    this.accuse = byId("accuse");
    this.message = byId("mistake-message");
    this.known = Object.keys(MISTAKES).filter((name) => whereItShows(name, page.model));
    this.menu.append(element("option", { value: "" }, say.noMistake));
    for (const [k, name] of this.known.entries()) this.menu.append(element("option", { value: name }, say.mistake(k + 1)));
    this.menu.addEventListener("change", () => this.hide(this.menu.value));
    this.accuse.addEventListener("click", () => this.judge());
    const { mistake } = page.model.recording;
    if (mistake && this.known.includes(mistake)) this.hide(mistake);
    else if (mistake) this.message.textContent = say.mistakeChangesNothing;
  }

  // Put the mistake in, or, without a name, take it out; training begins again.
  hide(name) {
    const { page } = this;
    const { model } = page;
    if (this.guilty) this.guilty.array.maker = this.guilty.right;
    this.guilty = null;
    model.wrong = false;
    model.load();
    if (name) {
      const place = whereItShows(name, model);
      const array = model.arrays.get(place.name);
      this.guilty = { name, array, right: array.maker };
      array.maker = wrongMaker(name, place, array.maker, model);
      model.wrong = true;
      model.load();
    }
    this.menu.value = name;
    this.message.textContent = name ? say.huntBegins : "";
    page.training.restart();
    page.running?.goTo(0);
  }

  // The button is there on the steps of the backward pass.
  show(step) {
    const { outputs } = this.page.model.steps[step];
    this.accuse.hidden = !this.guilty || !outputs.some((name) => name.endsWith(".grad"));
  }

  judge() {
    const { page, guilty } = this;
    const accused = page.model.steps[page.step].outputs;
    this.message.textContent = accused.includes(guilty.array.name)
      ? say.found(say.causes[guilty.name])
      : this.isHandedWrong(accused) ? say.handedWrong : say.innocent;
    page.asking.tellVerdict(this.message.textContent, accused.includes(guilty.array.name));
  }

  // Whether numbers of these arrays are wrong: others than with the right formula from the start. Before a batch norm a
  // bias has the gradient 0, of which rounding leaves some 1e-17: that is not wrong by being another 1e-17.
  isHandedWrong(names) {
    const { model } = this.page;
    const { array, right } = this.guilty;
    const makers = model.makers().map((a) => (a === array ? { ...a, maker: right } : a));
    const values = model.compute({ ...model.values }, makers);
    const differs = (a, b) => Math.abs(a - b) > 1e-9 * Math.max(Math.abs(a), Math.abs(b), 1e-6);
    return names.some((name) => values[name].some((line, i) => line.some((x, j) => differs(x, model.values[name][i][j]))));
  }
}

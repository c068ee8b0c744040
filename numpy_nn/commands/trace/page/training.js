"use strict";
// Training over time: one step after another on the same batch, the loss of each, and the way back. What is given (the
// batch, the parameters, the learning rate) is kept every few steps; what lies between is computed again.

const KEEP_EVERY = 10;
const MOST_STEPS = 10000;

class Training {
  constructor(model) {
    this.model = model;
    // What one step needs: neither the gradient by the data nor the loss once more.
    this.rest = model.makers().filter(({ name }) => name === "input.grad" || name === "loss.after");
    this.needed = model.makers().filter((array) => !this.rest.includes(array));
    this.parameters = [...model.arrays.values()].filter((array) => array.after && array.of).map((array) => array.of);
    this.renewed = [...this.parameters.map((name) => [name, `${name}.after`]), ...model.kept];
    this.restart();
  }

  restart() {
    this.changes = (this.changes ?? 0) + 1; // how often the losses that were there are no longer right
    this.at = 0;
    this.losses = [this.loss()];
    this.kept = new Map([[0, this.given()]]);
    this.settle();
  }

  loss() {
    return this.model.values.loss[0][0];
  }

  given() {
    const { model } = this;
    const editable = [...model.arrays.values()].filter((array) => array.editable).map(({ name }) => name);
    const names = [...editable, ...model.kept.map(([name]) => name)];
    const values = names.map((name) => [name, this.copied(name)]);
    this.copies = new Map(values);
    return { lr: model.lr, values };
  }

  // A copy of an array, or the last one that was made, if it has not changed: points rarely do.
  copied(name) {
    const [now, last] = [this.model.values[name], this.copies?.get(name)];
    return last && sameRows(now, last) ? last : now.map((line) => [...line]);
  }

  // The parameters after the step become those before the next one; where a change was made, it is made again.
  step() {
    const { model } = this;
    this.at += 1;
    if (this.kept.has(this.at)) this.take(this.kept.get(this.at));
    else for (const [name, next] of this.renewed) model.values[name] = model.values[next];
    model.time = this.at;
    model.compute(model.values, this.needed);
    this.losses[this.at] = this.loss();
    if (this.at % KEEP_EVERY === 0 && !this.kept.has(this.at)) this.kept.set(this.at, this.given());
  }

  take({ lr, values }) {
    this.model.lr = lr;
    for (const [name, lines] of values) this.model.values[name] = lines.map((line) => [...line]);
    this.model.setSamples(this.model.values.input.length);
  }

  // Go back to what was kept last before `target`; numbers that were recorded come back to the last bit.
  restore(target) {
    const { model } = this;
    this.at = Math.max(...[...this.kept.keys()].filter((at) => at <= target));
    this.take(this.kept.get(this.at));
    model.time = this.at;
    if (model.isEdited()) model.compute(model.values, this.needed);
    else model.load();
  }

  goTo(target) {
    if (target < this.at) this.restore(target);
    while (this.at < target) this.step();
    this.settle();
  }

  // All numbers of the step at which training stands; a change is one from these.
  settle() {
    const { model } = this;
    if (this.at) model.compute(model.values, this.rest);
    model.baseline = this.at === 0 && !model.wrong ? model.recorded : { ...model.values, ...Object.fromEntries(this.given().values) };
  }

  // A change of what is given: the steps before it stay, those after it are forgotten.
  changed() {
    this.changes += 1;
    this.losses.length = this.at;
    this.losses[this.at] = this.loss();
    for (const at of this.kept.keys()) if (at > this.at) this.kept.delete(at);
    this.kept.set(this.at, this.given());
  }

  get latest() {
    return this.losses.length - 1;
  }

  hasDiverged() {
    return !Number.isFinite(this.losses[this.at]);
  }
}

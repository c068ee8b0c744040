"use strict";
// What the long and the short form of the page share: a model, the step at which it is shown, the strip of its arrays and
// the way through its steps. Each form makes its strip, shows the rest, and then begins.

class BasePage {
  constructor(recording) {
    this.model = new Model(recording);
    this.step = 0;
    /** @type {any} */
    this.strip = null;
    this.stepping = new Stepping(this);
  }

  begin() {
    this.stepping.fromAddress();
    keepStage();
    addEventListener("resize", keepStage);
  }

  goTo(step) {
    this.step = Math.min(Math.max(step, 0), this.model.steps.length - 1);
    this.refresh();
    this.strip.followStep(this.step);
  }

  refresh() {
    this.strip.show(this.step);
    this.stepping.show(this.step);
  }

  // The training step; a form that does not train stays at the first one.
  get trained() {
    return 0;
  }

  trainTo(_step) {}

  get isRunning() {
    return false;
  }
}

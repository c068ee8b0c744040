"use strict";
// The second clock: the next training step, ten, a hundred, running and pausing, back to any step, and the address's
// &training=120.

// How long many steps are computed before the page shows where they are: this, or as long as showing takes.
const COMPUTING_MS = 20;

class Running {
  constructor(page) {
    this.page = page;
    this.training = page.training;
    this.runButton = byId("run");
    this.slider = byId("moment");
    this.position = byId("training-at");
    this.message = byId("diverged");
    this.painting = 0;
    this.curve = new LossCurve(this.training, byId("curve"), (step) => this.goTo(step));
    this.takeButton = byId("take");
    this.firstButton = byId("training-first");
    const further = { "next-step": 1, "ten-steps": 10, "hundred-steps": 100 };
    this.further = [...Object.keys(further).map(byId), this.runButton];
    for (const [id, count] of Object.entries(further)) {
      byId(id).addEventListener("click", () => this.runTo(this.training.at + count));
    }
    this.takeButton.addEventListener("click", () => this.runTo(this.training.at + 1));
    this.firstButton.addEventListener("click", () => this.goTo(0));
    this.runButton.addEventListener("click", () => (this.frame ? this.pause() : this.run()));
    this.slider.addEventListener("input", () => this.goTo(Number(this.slider.value)));
  }

  // Back to a step that was made, or on to one that was not.
  goTo(step) {
    this.pause();
    if (step > this.training.latest) return this.runTo(step);
    this.training.goTo(step);
    return this.page.refresh();
  }

  // As many steps as come in the time of a frame, then the page, until the target.
  runTo(target) {
    this.follow(() => Math.min(target, MOST_STEPS), COMPUTING_MS);
  }

  // A step a frame at first, so that the eye can follow; later a hundredth of those made.
  run() {
    this.follow(() => Math.min(this.training.at + Math.ceil((this.training.at + 1) / 100), MOST_STEPS), Infinity, MOST_STEPS);
  }

  follow(nextTarget, time, last = nextTarget()) {
    this.pause();
    const frame = () => {
      this.frame = null;
      const target = nextTarget();
      const until = performance.now() + Math.max(time, this.painting);
      do {
        if (this.training.at >= target) break;
        this.training.step();
      } while (performance.now() < until && !this.training.hasDiverged());
      this.training.settle();
      if (this.training.at < last && !this.training.hasDiverged()) this.frame = requestAnimationFrame(frame);
      const before = performance.now();
      this.page.refresh();
      this.painting = performance.now() - before;
    };
    frame();
  }

  // While it runs the page leaves out what can wait; now nothing can.
  pause() {
    const ran = this.frame;
    cancelAnimationFrame(this.frame);
    this.frame = null;
    if (ran) this.page.refresh();
    else this.show();
  }

  show() {
    const { at, latest, losses } = this.training;
    const known = this.page.step === this.page.model.steps.length - 1;
    const ended = at >= MOST_STEPS || this.training.hasDiverged();
    this.takeButton.hidden = !known || at === MOST_STEPS;
    put(this.takeButton, "title", say.onTo(at + 1));
    put(this.runButton, "text", this.frame ? say.pause : say.run);
    put(this.slider, "max", Math.max(latest, 1));
    this.slider.value = at;
    put(this.slider, "aria-valuetext", say.trainingStep(at));
    const blank = this.page.predict.isBlank("loss", 0, 0);
    put(this.position, "text", `${say.trainingStep(at)}, L = ${blank ? "?" : tidy(losses[at].toPrecision(5))}`);
    this.curve.picture.style.visibility = blank ? "hidden" : "visible";
    for (const button of this.further) button.disabled = ended;
    this.firstButton.disabled = at === 0;
    put(this.message, "text", this.verdict());
    this.curve.draw();
  }

  verdict() {
    const { at, losses } = this.training;
    if (this.training.hasDiverged()) return say.notFinite(at);
    if (losses[at] > 2 * losses[0]) return say.grown;
    return at >= MOST_STEPS ? say.mostSteps(MOST_STEPS) : "";
  }
}

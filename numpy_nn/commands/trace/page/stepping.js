"use strict";
// Forward and back: buttons, arrow keys, a slider, play, and the address's #step=7&training=120.

// To read a step's sentence and find its array takes a while; who knows them, or wants more time, can say so.
const PACES = { slow: 8, steady: 4, quick: 1.5 };

class Stepping {
  constructor(page) {
    this.page = page;
    this.last = page.model.steps.length - 1;
    this.timer = null;
    this.slider = byId("slider");
    this.position = byId("position");
    this.playButton = byId("play");
    this.pace = byId("pace");
    for (const name of Object.keys(PACES)) this.pace.append(element("option", { value: name }, say.paces[name]));
    this.pace.value = "steady";
    this.pace.addEventListener("change", () => this.timer && this.start());
    this.slider.max = this.last;
    this.slider.addEventListener("input", () => this.userGoesTo(Number(this.slider.value)));
    const targets = { first: () => 0, back: () => page.step - 1, forward: () => page.step + 1, last: () => this.last };
    for (const [id, target] of Object.entries(targets)) {
      byId(id).addEventListener("click", () => this.userGoesTo(target()));
    }
    this.playButton.addEventListener("click", () => this.toggle());
    document.addEventListener("keydown", (event) => this.key(event, targets));
    const network = String(networkOfAddress());
    addEventListener("hashchange", () => (String(networkOfAddress()) === network ? this.fromAddress() : location.reload()));
  }

  fromAddress() {
    const asked = (key) => Number(new RegExp(`\\b${key}=(\\d+)`).exec(location.hash)?.[1] ?? 0);
    const [step, training] = ["step", "training"].map(asked);
    this.page.goTo(step);
    if (training !== this.page.trained) this.page.trainTo(training);
  }

  key(event, targets) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.closest("input, select, td[data-name]")) return;
    const name = { Home: "first", ArrowLeft: "back", ArrowRight: "forward", End: "last" }[event.key];
    if (name) {
      event.preventDefault();
      this.userGoesTo(targets[name]());
    } else if (event.key === "p") {
      this.toggle();
    }
  }

  userGoesTo(step) {
    this.stop();
    this.page.goTo(step);
  }

  toggle() {
    if (this.timer) return this.stop();
    if (this.page.step === this.last) this.page.goTo(0);
    return this.start();
  }

  start() {
    clearInterval(this.timer);
    this.timer = setInterval(() => {
      this.page.goTo(this.page.step + 1);
      if (this.page.step === this.last) this.stop();
    }, PACES[this.pace.value] * 1000);
    this.showPlaying();
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    this.showPlaying();
  }

  showPlaying() {
    this.playButton.textContent = this.timer ? say.pause : say.play;
  }

  // The address follows, so that it can be kept or sent: it opens at this step.
  show(step) {
    const training = this.page.trained ? `&training=${this.page.trained}` : "";
    const net = this.page.model.recording.remade ? `&net=${networkOfAddress().join()}` : "";
    const chosen = (languageOfAddress() ? `&lang=${language}` : "") + net;
    const address = `#step=${step}${training}${chosen}`;
    if (!this.page.isRunning && location.hash !== address && (step || training || location.hash)) history.replaceState(null, "", address);
    if (step === this.shown) return;
    this.shown = step;
    this.slider.value = step;
    const { title, formula, text } = this.page.model.steps[step];
    this.slider.setAttribute("aria-valuetext", say.stepOf(step, this.last, title));
    this.position.textContent = `${step} / ${this.last}`;
    byId("title").textContent = title;
    byId("formula").innerHTML = formula;
    byId("text").textContent = text;
    byId("first").disabled = byId("back").disabled = step === 0;
    byId("forward").disabled = byId("last").disabled = step === this.last;
  }
}

"use strict";
// How training is doing, layer by layer: how large the gradients are (their root mean square, on a logarithmic axis), how
// large an update is beside its weights, how many units are dead and how many saturated; and the choice of another
// network, to see what makes them vanish or grow.

const rms = (lines) => Math.sqrt(sum(lines.map((line) => sum(line.map((x) => x * x)))) / (lines.length * lines[0].length));

// More steps than there are: the page goes to its last one, where all of the table is known.
const LAST_STEP = 999;

class Health {
  constructor(page) {
    this.page = page;
    this.model = page.model;
    this.body = byId("health-layers");
    this.rows = this.model.links.filter(({ kind }) => kind.edges).map((link) => this.row(link));
    this.choose();
  }

  row(link) {
    const { links } = this.model;
    const behind = links.slice(links.indexOf(link) + 1);
    const width = behind.findIndex(({ kind }) => kind.edges);
    const acting = behind.slice(0, width < 0 ? behind.length : width).find(({ layer }) => layer.activation !== null) ?? null;
    const [title, bar, size, update, dead, saturated] = ["th", "td", "td", "td", "td", "td"].map((tag) => element(tag));
    title.innerHTML = `${ml.math(arraySymbol(this.model.arrays.get(`${link.layer.name}.weight`)))}`;
    title.setAttribute("scope", "row");
    bar.append(element("div", { class: "bar" }));
    this.body.append(element("tr", {}, title, bar, size, update, dead, saturated));
    return { link, acting, bar: bar.firstChild, size, update, dead, saturated };
  }

  // The places at which an activation's slope is 0 for the whole batch, and those at which it is next to nothing.
  slopes({ layer, input }) {
    const { derivative } = arithmetic.activations[layer.activation];
    const get = (name, i, j) => this.model.values[name][i][j];
    const steepest = Math.max(...range(161).map((k) => Math.abs(derivative(k / 10 - 8, optionsOf(layer, 0, get, this.model)))));
    const { cols } = this.model.arrays.get(input);
    const of = range(cols).map((j) => {
      const options = optionsOf(layer, j, get, this.model);
      return this.model.values[input].map((line) => Math.abs(derivative(line[j], options)) / steepest);
    });
    return {
      dead: of.filter((unit) => unit.every((slope) => slope === 0)).length,
      units: cols,
      saturated: sum(of.map((unit) => unit.filter((slope) => slope < 0.05).length)) / (cols * this.model.samples),
    };
  }

  // Known once the backward pass has been made; the axis reaches over all layers.
  show(step) {
    const { values, arrays } = this.model;
    const known = (name) => arrays.get(name).step <= step;
    const sizes = this.rows.map(({ link }) => rms(values[`${link.layer.name}.weight.grad`]));
    const logs = sizes.filter((x) => x > 0 && Number.isFinite(x)).map((x) => Math.log10(x));
    const [low, high] = [Math.floor(Math.min(-6, ...logs)), Math.ceil(Math.max(0, ...logs))];
    put(byId("health-axis"), "text", say.healthAxis(low, high));
    for (const [k, { link, acting, bar, size, update, dead, saturated }] of this.rows.entries()) {
      const weight = `${link.layer.name}.weight`;
      const there = known(`${weight}.grad`);
      const share = there && sizes[k] > 0 && Number.isFinite(sizes[k]) ? (Math.log10(sizes[k]) - low) / (high - low) : 0;
      put(bar, "style", `width: ${(100 * share).toFixed(1)}%`);
      put(size, "text", there ? smallText(sizes[k]) : "");
      const moved = known(`${weight}.after`)
        ? rms(values[`${weight}.after`].map((line, i) => line.map((x, j) => x - values[weight][i][j]))) / rms(values[weight])
        : NaN;
      put(update, "text", Number.isFinite(moved) ? smallText(moved) : "");
      const slopes = acting && known(acting.output) ? this.slopes(acting) : null;
      put(dead, "text", slopes ? say.outOf(slopes.dead, slopes.units) : "");
      put(saturated, "text", slopes ? `${(100 * slopes.saturated).toFixed(0)} %` : "");
    }
  }

  // The page was loaded anew for a network that was chosen here: the reader is to see what came of it.
  comeBack() {
    if (history.scrollRestoration !== "manual") return;
    history.scrollRestoration = "auto";
    const boxOf = (id) => byId(id).getBoundingClientRect();
    const look = () => scrollBy({ top: boxOf("health").bottom - boxOf("asked").top, behavior: "instant" });
    // Once more when what came into sight has been laid out.
    requestAnimationFrame(() => {
      look();
      requestAnimationFrame(look);
    });
  }

  choose() {
    const chosen = networkOfAddress();
    const form = byId("another");
    form.hidden = Boolean(this.model.recording.mine);
    const names = ["net-depth", "net-activation", "net-initial"];
    const options = [range(MOST_HIDDEN + 1), Object.keys(REMADE_ACTIVATIONS), Object.keys(INITIALIZERS)];
    const [depth, activation, initial] = names.map(byId);
    initial.append(element("option", { value: "" }, say.asRecorded));
    for (const [k, select] of [depth, activation, initial].entries()) {
      for (const name of options[k]) select.append(element("option", { value: name }, say.initializers[name] ?? String(name)));
    }
    const hidden = this.model.links.filter(({ kind }) => kind.edges).length - 1;
    const acting = this.model.recording.layers.find((layer) => layer.activation !== null)?.activation;
    [depth.value, activation.value, initial.value] = [hidden, acting in REMADE_ACTIVATIONS ? acting : "relu", chosen?.[2] ?? ""];
    const remake = () => {
      if (initial.value === "" && !chosen) initial.value = "xavier";
      const net = initial.value === "" ? "" : [depth.value, activation.value, initial.value].join();
      history.scrollRestoration = "manual"; // comeBack sees it
      openWith({ step: LAST_STEP, training: "", net });
    };
    for (const select of [depth, activation]) select.addEventListener("change", remake);
    initial.addEventListener("change", () => (initial.value === "" && !chosen ? undefined : remake()));
  }
}

"use strict";
// The paths of an asked number, to be opened below its answer: each with its product, their sum, the same sum as
// backpropagation has it, and what each way costs.

class PathsView {
  constructor(page) {
    this.page = page;
    this.paths = new Paths(page.model);
    this.opened = false;
  }

  show(of, i, j) {
    const count = this.paths.count(of, i, j);
    const details = element("details", { class: "paths" }, element("summary", {}, say.asPaths(count)));
    details.open = this.opened;
    details.addEventListener("toggle", () => {
      this.opened = details.open;
      if (details.open && details.childElementCount === 1) details.append(...this.contents(of, i, j, count));
    });
    if (this.opened) details.append(...this.contents(of, i, j, count));
    return details;
  }

  contents(of, i, j, count) {
    const { model } = this.page;
    const gradient = model.arrays.get(`${of}.grad`);
    const symbol = ml.math(entrySymbol(gradient, i, j));
    const listed = count <= MOST_PATHS ? this.list(of, i, j, symbol) : [element("p", {}, say.tooManyPaths(count))];
    return [...listed, ...this.together(of, i, j, symbol), this.costs()];
  }

  list(of, i, j, symbol) {
    const all = this.paths.all(of, i, j).sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
    const table = element("table");
    for (const path of all.slice(0, PATHS_SHOWN)) table.append(this.line(path));
    const rest = all.slice(PATHS_SHOWN);
    const parts = [table];
    if (rest.length) parts.push(element("p", {}, say.morePaths(rest.length, formulaText(sum(rest.map((p) => p.product))))));
    const total = element("p");
    total.innerHTML = `${say.sumOfPaths} ${ml.math(ml.mn(resultText(sum(all.map((p) => p.product)))))} = ${symbol}`;
    return [...parts, total];
  }

  // Pointed at or focused, a path is lit in the network and in the arrays.
  line(path) {
    const { page } = this;
    const units = path.units.map(([name, n, unit]) => ml.math(entrySymbol(page.model.arrays.get(name), n, unit)));
    const product = ml.math(path.factors.map(ml.factor).join(ml.times), ml.infix("="), ml.mn(formulaText(path.product)));
    const line = element("tr", { tabindex: 0 });
    line.innerHTML = `<td>${[...units, ml.math(ml.mi("L"))].join(" → ")}</td><td>${product}</td>`;
    const light = () => {
      page.showSample(path.row);
      page.light(page.asking.asked, [...path.units, ...path.weights], []);
    };
    const leave = () => page.marks && page.light(...page.marks);
    for (const event of ["pointerenter", "focus"]) line.addEventListener(event, light);
    for (const event of ["pointerleave", "blur"]) line.addEventListener(event, leave);
    return line;
  }

  // What the paths share is the gradient of the first unit on them; an asked unit is that itself.
  together(of, i, j, symbol) {
    const text = element("p", {}, say.thatIsBackpropagation);
    if (this.paths.links.some(({ output }) => output === of)) return [text];
    const terms = this.paths.collapsed(of, i, j).slice(0, PATHS_SHOWN);
    const more = this.paths.starts(of, i, j).length > PATHS_SHOWN ? ml.mo("+ …") : "";
    const line = element("p");
    const shown = terms.map(([first, rest]) => ml.row(ml.factor(first), ml.times, ml.factor(rest))).join(ml.mo("+"));
    line.innerHTML = `${symbol} ${ml.math(ml.infix("="), shown, more)}`;
    return [text, line];
  }

  costs() {
    const { paths, evaluations, parameters, backward } = this.paths.costs();
    return element("p", {}, say.costs(parameters, paths, evaluations, backward));
  }
}

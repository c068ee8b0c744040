"use strict";
// The reader's own network, if the page was made of one: its numbers stand in the place of ours, and those that are
// wrong are marked. After a change, or with a mistake hidden in ours, there are none: the page cannot run his code.

class Mine {
  constructor(model) {
    this.model = model;
    this.recorded = model.recording.mine ?? null;
    this.values = {};
    this.wrong = new Set();
    if (!this.recorded) return;
    for (const [name, values] of Object.entries(this.recorded.values)) {
      const { shape, overSamples } = model.arrays.get(name);
      this.values[name] = asRows(values, shape, overSamples);
    }
    for (const [name, cells] of Object.entries(this.recorded.wrong)) {
      for (const cell of cells) this.wrong.add([name, ...cell].join("/"));
    }
  }

  refresh() {
    this.gone = this.recorded !== null && (this.model.isEdited() || Boolean(this.model.wrong));
  }

  // The number of the reader's code for this entry, or null.
  value(name, i, j) {
    return this.gone || !this.values[name] ? null : this.values[name][i][j];
  }

  isWrong(name, i, j) {
    return this.wrong.size > 0 && !this.gone && this.wrong.has(`${name}/${i}/${j}`);
  }

  // Of an output or the loss, for which nobody else has been asked.
  besideOurs(name, i, j) {
    const [ours, yours] = [this.model.values[name][i][j], this.value(name, i, j)];
    const remark = yours === ours ? say.sameToTheBit : say.differsBy(smallText(yours - ours));
    const table = element("table", { class: "comparison" });
    for (const [whose, x, text] of [[say.ours, ours, ""], [say.yours, yours, remark]]) {
      const cells = [element("td", {}, resultText(x)), element("td", {}, text)];
      table.append(element("tr", {}, element("th", { scope: "row" }, whose), ...cells));
    }
    return table;
  }

  // Which number is wrong first, and why; with a button that goes there.
  tell(holder, goTo) {
    if (!this.recorded) return;
    const { first, words, names, name } = this.recorded;
    holder.hidden = false;
    const known = Object.keys(this.values).map((one) => ml.math(arraySymbol(this.model.arrays.get(one)))).join(", ");
    if (!this.wrong.size) {
      holder.innerHTML = say.yoursIsRight(known);
      holder.querySelector("code").textContent = name;
      return;
    }
    const at = this.model.arrays.get(first || [...this.wrong][0].split("/")[0]);
    holder.innerHTML = `${say.firstOfYours} <button type="button"></button>`;
    holder.querySelector("code").textContent = name;
    const button = holder.querySelector("button");
    button.innerHTML = `${names[at.name]} ${ml.math(arraySymbol(at))}`;
    button.addEventListener("click", () => goTo(at.step));
    holder.append(words ? `: ${words}` : "");
  }
}

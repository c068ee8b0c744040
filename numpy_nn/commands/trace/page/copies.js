"use strict";
// The numbers that an asked one is made from, copied into its answer as labelled cells: they are mostly far apart in the
// strip. A copy leads to the number itself.

const MOST_COPIES = 36;

function copiesOf(page, sources) {
  const { model } = page;
  const list = element("ul", { class: "copies", "aria-label": say.madeFrom(sources.length) });
  for (const [name, i, j] of sources.slice(0, MOST_COPIES)) {
    const array = model.arrays.get(name);
    const value = model.values[name][i][j];
    const blank = array.step <= page.step && page.predict.isBlank(name, i, j);
    const known = array.step <= page.step && !blank;
    const copy = element("button", { type: "button", class: "copy", "data-sign": known ? signOf(value) : "zero" });
    copy.style.setProperty("--share", known && Number.isFinite(value) ? Math.abs(value) / largestOf(model.values[name]) : 0);
    copy.innerHTML = `${ml.math(entrySymbol(array, i, j))}<span>${known ? cellText(value) : blank ? "?" : "&nbsp;"}</span>`;
    copy.setAttribute("aria-label", `${spokenEntry(array, i, j)}: ${known ? cellText(value) : say.notYet}`);
    copy.addEventListener("click", (event) => {
      event.stopPropagation();
      page.asking.ask([name, i, j], true);
    });
    list.append(element("li", {}, copy));
  }
  const more = sources.length - MOST_COPIES;
  if (more > 0) list.append(element("li", { class: "hint" }, say.andMore(more)));
  return list;
}

"use strict";
// The computation as a strip: a column for the data, each layer and the loss; three lanes, forward, backward and
// update, so that the gradient of an array lies under the array. What is in the frame of an array its `contents` draw.

/** @type {(tag: string, attributes?: object, ...children: (Node | string)[]) => any} */
const element = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
};

// What the answer takes beside the strip, with the margins: 27rem and what copies.css leaves free.
const ASIDE = 490;

// Of A4 and of Letter, in CSS pixels, without the margins.
const PAPER_WIDTH = 960;

// Of a tint, as many as the eye tells apart.
const SHADES = 25;

// Below this height the steps do not stay in view (narrow.css).
const LOW = 420;

class Strip {
  constructor(model, root, contents) {
    this.model = model;
    this.root = root;
    this.contents = contents;
    this.frames = new Map();
    this.unseen = new Set(); // arrays out of sight, which while training runs can wait
    /** @type {number | undefined} */
    this.step = undefined;
    const grid = element("div", { class: "lanes" });
    grid.style.setProperty("--columns", model.columns.length);
    for (const { title } of model.columns) grid.append(element("h3", {}, title));
    for (const [lane, title] of Object.entries(say.lanes)) {
      grid.append(element("p", { class: "lane" }, element("span", {}, title)));
      for (const column of model.columns.keys()) {
        const cell = element("div", { class: "place" });
        for (const array of model.arrays.values()) {
          if (array.lane === lane && array.column === column) cell.append(this.frame(array));
        }
        grid.append(cell);
      }
    }
    root.replaceChildren(grid);
    addEventListener("beforeprint", () => this.fitPaper(grid));
    this.fitPaper(grid);
    this.keepSizes();
    matchMedia("(width < 640px)").addEventListener("change", () => this.keepSizes());
  }

  // What is out of sight the browser need not lay out, if it knows how large it is (strip.css). The cells are of another
  // size in narrow windows.
  keepSizes() {
    const figures = [...this.frames.values()];
    this.root.classList.remove("sized");
    const sizes = figures.map((figure) => {
      const { paddingLeft, paddingRight, paddingTop, paddingBottom } = getComputedStyle(figure);
      const [across, up] = [[paddingLeft, paddingRight], [paddingTop, paddingBottom]].map((both) => sum(both.map(parseFloat)));
      return `auto ${figure.clientWidth - across}px auto ${figure.clientHeight - up}px`;
    });
    for (const [k, figure] of figures.entries()) figure.style.containIntrinsicSize = sizes[k];
    this.root.classList.add("sized");
  }

  // How much smaller the strip must be to fit a landscape sheet.
  fitPaper(grid) {
    grid.style.setProperty("--on-paper", Math.min(1, PAPER_WIDTH / Math.max(grid.scrollWidth, 1)).toFixed(3));
  }

  frame(array) {
    const figure = element("figure", { class: "array", "data-array": array.name });
    const caption = element("figcaption");
    const shape = this.model.windowed && array.batch ? say.oneOfMany(array.cols) : array.shape.join(" × ") || say.single;
    caption.innerHTML = `${ml.math(arraySymbol(array))} <span class="shape">${shape}</span>`;
    figure.append(caption, this.contents.draw(array));
    this.frames.set(array.name, figure);
    whenSeen(figure, (seen) => {
      if (!seen) this.unseen.add(array.name);
      else if (this.unseen.delete(array.name) && this.step !== undefined) this.fill(array, this.step);
    });
    return figure;
  }

  fill(array, step) {
    this.contents.fill(array, this.frames.get(array.name), array.step <= step);
  }

  // What is computed by now, with the arrays of this step lit.
  show(step) {
    const { outputs } = this.model.steps[step];
    this.step = step;
    for (const [name, figure] of this.frames) {
      const array = this.model.arrays.get(name);
      figure.classList.toggle("active", outputs.includes(name));
      figure.classList.toggle("waiting", array.step > step);
      if (!(this.contents.hurried && this.unseen.has(name))) this.fill(array, step);
    }
  }

  followStep(step) {
    const { outputs } = this.model.steps[step];
    this.follow(...(outputs.length ? outputs : ["input"]).map((name) => this.frames.get(name)));
  }

  // Bring parts of the strip into view, the first one before all: sideways inside the strip; up and down, between what is
  // fixed above and the answer below.
  follow(...parts) {
    const behavior = calm() ? "auto" : "smooth";
    const boxes = parts.map((part) => part.getBoundingClientRect());
    const outer = this.root.getBoundingClientRect();
    const inner = {
      left: Math.min(...boxes.map((box) => box.left)), right: Math.max(...boxes.map((box) => box.right)),
      top: boxes[0].top, bottom: Math.max(...boxes.map((box) => box.bottom)),
    };
    if (inner.left < outer.left || inner.right > outer.right) {
      this.root.scrollBy({ left: (inner.left + inner.right) / 2 - outer.left - outer.width / 2, behavior });
    }
    const fixed = document.body.classList.contains("stays");
    const bar = (fixed ? byId("stage") : byId("controls")).getBoundingClientRect().bottom;
    const beside = document.body.classList.contains("beside");
    const bottom = beside ? innerHeight - 8 : byId("asked").getBoundingClientRect().top - 8;
    // The name of the lane above is seen as well, if there is room.
    const named = inner.bottom - inner.top <= bottom - bar - 52;
    const top = innerHeight < LOW ? 8 : bar + (named ? 52 : 8);
    if (inner.bottom > bottom) scrollBy({ top: Math.min(inner.bottom - bottom, inner.top - top), behavior });
    else if (inner.top < top) scrollBy({ top: inner.top - top, behavior });
  }
}

// How wide an element is, without asking the browser for its layout each time; `changed` hears of another width.
class WidthOf {
  constructor(root, changed) {
    this.now = root.clientWidth;
    new ResizeObserver(() => {
      const before = this.now;
      this.now = root.clientWidth;
      if (this.now !== before) changed();
    }).observe(root);
  }
}

// Tells whether an element with content-visibility comes into sight or goes out of it.
function whenSeen(node, tell) {
  node.addEventListener("contentvisibilityautostatechange", ({ skipped }) => tell(!skipped));
}

// Whether the steps and the network stay in view: on wide windows, where they leave half of the height to the strip.
function keepStage() {
  const ids = ["controls", "story", "network"];
  const [controls, story, network] = ids.map((id) => byId(id).offsetHeight);
  const height = controls + Math.max(story, network);
  document.body.classList.toggle("stays", innerWidth >= 1000 && height <= innerHeight * 0.45);
  const computation = document.querySelector(".lanes").scrollWidth;
  document.body.classList.toggle("beside", innerWidth >= computation + ASIDE);
}

const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// The contents of a frame as a table of numbers, each of which can be asked.
class Tables {
  constructor(model, mine) {
    this.model = model;
    this.mine = mine;
    this.cells = new Map(); // by name, row and column each td with what stands in it
    this.sample = 0;
    this.hurried = false; // while training runs no screen reader could follow: what it hears is written at the end
    this.isBlank = /** @type {(name: string, i: number, j: number) => boolean} */ (() => false);
  }

  draw(array) {
    const said = `${spokenName(array)}, ${array.shape.join(say.by) || say.aNumber}`;
    const table = element("table", { role: "grid", "aria-label": said });
    const rows = [];
    this.cells.set(array.name, rows);
    for (const i of range(this.isWindow(array) ? 1 : array.rows)) {
      const line = element("tr", { role: "row" });
      rows.push([]);
      for (const j of range(array.cols)) {
        const tabindex = i === 0 && j === 0 ? 0 : -1;
        const place = { "data-name": array.name, "data-row": i, "data-col": j };
        const cell = element("td", { role: "gridcell", tabindex, ...place });
        cell.classList.toggle("editable", Boolean(array.editable));
        rows[i].push({ cell, text: cell.appendChild(document.createTextNode("")), last: {} });
        line.append(cell);
      }
      table.append(line);
    }
    return table;
  }

  // Tinted by sign and by size within the array. `moved` marks what a change has made another than it was when the reader
  // came to this training step.
  fill(array, _, computed) {
    const { name } = array;
    const values = this.model.values[name];
    const before = this.model.baseline[name];
    const largest = largestOf(values);
    const rows = this.cells.get(name);
    const windowed = this.isWindow(array);
    for (let k = 0; k < rows.length; k += 1) {
      const i = windowed ? this.sample : k;
      for (let j = 0; j < rows[k].length; j += 1) {
        const x = this.mine.value(name, i, j) ?? values[i][j];
        const was = before[i]?.[j] ?? NaN;
        const blank = computed && this.isBlank(name, i, j);
        const wrong = computed && this.mine.isWrong(name, i, j);
        const { last } = rows[k][j];
        if (
          last.x === x && last.was === was && last.largest === largest && last.computed === computed &&
          last.blank === blank && last.wrong === wrong && last.row === i && (last.said || this.hurried)
        ) continue;
        const tinted = computed && !blank && name !== "target";
        this.write(rows[k][j], array, j, {
          x, was, largest, computed, blank, wrong, row: i, said: !this.hurried,
          text: blank ? "?" : computed ? cellText(x) : "",
          sign: !tinted || x === 0 ? "" : x > 0 ? "positive" : "negative",
          share: tinted && Number.isFinite(x) ? Math.round((SHADES * Math.abs(x)) / largest) / SHADES : 0,
          moved: computed && !blank && Math.abs(values[i][j] - was) > 1e-9 * Math.max(1, Math.abs(x)),
        });
      }
    }
  }

  // Only what is another than last time: what is written costs the browser much more than what is computed.
  write(place, array, j, now) {
    const { cell, text, last } = place;
    if (now.row !== last.row) {
      cell.dataset.row = now.row;
      place.spoken = spokenEntry(array, now.row, j);
    }
    if (now.text !== last.text) text.data = now.text;
    if (now.said && !(last.said && now.row === last.row && now.text === last.text && now.wrong === last.wrong)) {
      const said = (now.text || say.notYet) + (now.wrong ? say.whichIsWrong : "");
      cell.setAttribute("aria-label", `${place.spoken}: ${said}`);
    }
    if (now.sign !== last.sign) cell.dataset.sign = now.sign;
    if (now.share !== last.share) cell.style.setProperty("--share", now.share);
    for (const mark of ["moved", "wrong", "blank"]) {
      if (now[mark] !== (last[mark] ?? false)) cell.classList.toggle(mark, now[mark]);
    }
    place.last = now;
  }

  // Whether of this array one sample's row is shown, and the others are not.
  isWindow(array) {
    return this.model.windowed && array.batch;
  }

  cell(name, i, j) {
    const rows = this.cells.get(name);
    if (!this.isWindow(this.model.arrays.get(name))) return rows[i]?.[j]?.cell;
    return i === this.sample ? rows[0][j]?.cell : undefined;
  }

  mark(asked, sources, dependents) {
    for (const [cell, mark] of this.marked ?? []) cell.classList.remove(mark);
    const marks = [["asked", asked ? [asked] : []], ["source", sources], ["dependent", dependents]];
    this.marked = marks.flatMap(([mark, cells]) => cells.map((cell) => [this.cell(...cell), mark])).filter(([cell]) => cell);
    for (const [cell, mark] of this.marked) cell.classList.add(mark);
  }
}

"use strict";
// A gradient beside what others say of it: as recorded, or, after a change, what this page can compute itself.

// The numerical derivative by an entry with its bound, at a kink the derivatives on both sides, and torch's value; what
// nobody knows is null.
function checksOf(page, array, i, j) {
  const { model } = page;
  const checks = model.recording.checks[array.name];
  const loss = (x) => model.lossWith(array.of, i, j, x);
  const home = model.values[array.of][i][j];
  if (model.isEdited() || !checks) {
    const [numerical, bound] = arithmetic.numericalDerivative(loss, home);
    return { numerical, bound, sides: arithmetic.sidesOfKink(loss, home), torch: null };
  }
  const at = (kind) => asRows(checks[kind], array.shape, array.overSamples)[i][j];
  const torch = checks.torch ? at("torch") : null;
  return { numerical: at("numerical"), bound: at("bound"), sides: checks.sides[`${i},${j}`] ?? null, torch };
}

// [whose, value, remark] of each value that is to agree, ours first. Whoever has one more puts in one more line.
function valuesToCompare(ours, { torch }, yours) {
  const remark = (x) => (x === ours ? say.sameToTheBit : say.differsBy(smallText(ours - x)));
  return [
    [say.ours, ours, ""],
    [say.torchAutograd, torch, remark(torch)],
    [say.yours, yours, remark(yours)],
  ].filter(([, value]) => value !== null);
}

function comparison(page, array, i, j, checks) {
  const yours = page.mine.value(array.name, i, j);
  const values = valuesToCompare(page.model.values[array.name][i][j], checks, yours);
  const { numerical, bound, sides } = checks;
  const [low, high, error] = sides
    ? [Math.min(sides[0], sides[1]), Math.max(sides[0], sides[1]), sides[2]]
    : [numerical, numerical, bound];
  const fits = ([, x]) => low - error <= x && x <= high + error;
  const agree = values.every(fits);
  const othersAgree = yours !== null && values.slice(0, -1).every(fits);
  const measured = sides
    ? [[say.onTheLeft, sides[0], error], [say.onTheRight, sides[1], error]]
    : [[say.numerical, numerical, bound]];
  const lines = [...values, ...measured.map(([whose, x, b]) => [whose, x, `± ${smallText(b)}`])];
  const table = element("table", { class: "comparison" });
  for (const [whose, x, remark] of lines) {
    const cells = [element("td", {}, resultText(x)), element("td", {}, remark)];
    table.append(element("tr", {}, element("th", { scope: "row" }, whose), ...cells));
  }
  const verdict = element("p", { class: `verdict ${agree ? "agree" : "disagree"}` });
  const finite = lines.every(([, x]) => Number.isFinite(x));
  const [right, wrong] = sides
    ? [say.betweenTheSides, say.notBetweenTheSides]
    : [say.agree(values.length + 1), finite ? say.disagree(values.length + 1) : say.nothingFinite];
  verdict.textContent = agree ? `✓ ${right}` : `✗ ${othersAgree ? say.yoursIsWrong : wrong}`;
  const note = element("p", { class: "hint" }, whyNoTorch(page, array));
  return element("div", { class: "comparing" }, table, verdict, ...(checks.torch === null ? [note] : []));
}

function whyNoTorch(page, array) {
  const { checks, remade: madeHere } = page.model.recording;
  if (madeHere) return say.torchNotHere;
  if (Object.values(checks).every(({ torch }) => !torch)) return say.torchNotInstalled;
  if (!checks[array.name]) return say.torchOnlyParameters;
  return page.training.at ? say.torchOnlyFirst : say.torchBeforeChange;
}

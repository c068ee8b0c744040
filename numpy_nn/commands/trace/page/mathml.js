"use strict";
// MathML, as strings: the browser draws it with a font it has. Lower-level than formulas.js, which says what to write.

// Numbers for reading: few digits in a cell, some more in a formula, nearly all in a result.
const MINUS = "−";

function withExponent(text) {
  const [digits, exponent] = text.replace("-", MINUS).split("e");
  return exponent === undefined ? digits : `${digits}e${exponent.replace("-", MINUS).replace("+", "")}`;
}

function cellText(x) {
  if (!Number.isFinite(x)) return String(x).replace("-", MINUS);
  const size = Math.abs(x);
  if (Number.isInteger(x) && size < 10000) return withExponent(String(x === 0 ? 0 : x));
  if (size < 0.001 || size >= 10000) return withExponent(x.toExponential(1));
  return withExponent(size < 100 ? x.toFixed(3) : x.toFixed(1));
}

const tidy = (text) => withExponent(text.includes(".") ? text.replace(/\.?0+($|e)/, "$1") : text);

const formulaText = (x) => (Number.isFinite(x) ? tidy(x.toPrecision(5)) : String(x));

const resultText = (x) => (Number.isFinite(x) ? tidy(x.toPrecision(10)) : String(x));

const smallText = (x) => (x === 0 ? "0" : withExponent(x.toExponential(1)));

// Of a sum so many terms are written at most; of more, the first ones.
const MOST_TERMS = 20;

const ml = (() => {
  const mi = (text) => `<mi>${text}</mi>`;
  const mn = (text) => `<mn>${text}</mn>`;
  const mo = (text) => `<mo>${text}</mo>`;
  const row = (...parts) => `<mrow>${parts.join("")}</mrow>`;
  const sub = (base, below) => `<msub>${base}${row(below)}</msub>`;
  const sup = (base, above) => `<msup>${base}${row(above)}</msup>`;
  const frac = (above, below) => `<mfrac>${row(above)}${row(below)}</mfrac>`;
  const parens = (...parts) => row(mo("("), ...parts, mo(")"));
  const bracket = (...parts) => row(mo("["), ...parts, mo("]"));
  const sumOver = (index) => `<munder><mo>∑</mo>${mi(index)}</munder>`;
  const call = (name, ...parts) => row(`<mi mathvariant="normal">${name}</mi>`, mo("&ApplyFunction;"), parens(...parts));
  const exp = (...parts) => sup(mi("e"), row(...parts));
  const math = (...parts) => `<math>${parts.join("")}</math>`;
  const times = mo("·");
  const infix = (sign) => `<mo form="infix">${sign}</mo>`;
  const equals = mo("=");
  // A letter, which may end in a combining circumflex: a text of two characters would stand upright.
  const letter = (text) => (text.endsWith("\u0302")
    ? `<mover accent="true">${mi(text.slice(0, -1))}<mo stretchy="false">^</mo></mover>`
    : mi(text));
  const root = (...parts) => `<msqrt>${row(...parts)}</msqrt>`;

  // A number inside a formula; a negative one in brackets, unless it stands first.
  const number = (x) => mn(formulaText(x));
  const factor = (x) => (x < 0 || /e/.test(formulaText(x)) ? parens(number(x)) : number(x));

  // A sum of many terms is written with its first ones.
  const added = (terms) => (terms.length > MOST_TERMS ? [...terms.slice(0, 8), mo("…")] : terms).join(mo("+"));

  return Object.freeze({
    mi, mn, mo, row, sub, sup, frac, parens, bracket, sumOver,
    call, exp, math, infix, letter, number, factor, added, root, times, equals,
  });
})();

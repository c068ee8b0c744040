"use strict";
// The style sheet's colours, for what is painted dot by dot.

// What a colour of the style sheet is just now, in red, green and blue.
function colourOf(variable) {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  const probe = element("span", { style: `color: var(${variable})` });
  document.body.append(probe);
  pen.fillStyle = getComputedStyle(probe).color;
  probe.remove();
  pen.fillRect(0, 0, 1, 1);
  return pen.getImageData(0, 0, 1, 1).data;
}

// Red, green and blue as one number, as an ImageData has its dots in memory on all machines that browsers run on.
/** @param {number[]} rgb */
const dot32 = ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red;

// Light turns dark, or back: by the system, or by the button.
function whenColoursChange(act) {
  new MutationObserver(act).observe(document.documentElement, { attributeFilter: ["style"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", act);
}

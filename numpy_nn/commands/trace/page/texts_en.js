"use strict";
// What the page says, in English. The other languages have the same keys.

const TEXTS_EN = {
  run: "Run",
  pause: "Pause",
  trainingStep: (at) => `training step ${at}`,
  takeTheStep: (next) => `On to training step ${next}`,
  curveSaid: (steps, first, last) => `The loss over ${steps} training steps: ${first} at first, ${last} at last`,
  logarithmic: "logarithmic",
  notFinite: (at) => `Diverged: at training step ${at} the loss is no finite number. The learning rate is too large.`,
  grown: "The loss is more than twice what it was at first: the learning rate is too large.",
  mostSteps: (most) => `After ${most} steps the page stops.`,
  torchOnlyFirst: "torch was asked at training step 0 only; from there on the numerical derivative is this page’s own.",
};

const say = TEXTS_EN;

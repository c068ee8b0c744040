"use strict";
// What the page says, in English. The other languages have the same keys.

const KINK = "an activation has a kink here, and the numerical derivative two values";

const VALUES = (count) => (count === 2 ? "Both values" : `The ${["three", "four"][count - 3]} values`);

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
  torchNotInstalled: "torch was not installed where this was recorded.",
  torchBeforeChange: "You changed a number: torch, which was asked when this was recorded, has no say here.",
  ours: "ours",
  yours: "yours",
  yoursIsWrong: "Yours is wrong: the others agree.",
  whichIsWrong: ", which is wrong",
  yoursIsRight: (known) => `✓ Every number that <code></code> gives is right: ${known}. The others are ours.`,
  firstOfYours: "✗ <code></code>: the first that is wrong is the",
  torchAutograd: "torch autograd",
  numerical: "numerical",
  onTheLeft: "on the left",
  onTheRight: "on the right",
  sameToTheBit: "the same to the last bit",
  differsBy: (difference) => `differs by ${difference}`,
  agree: (count) => `${VALUES(count)} agree: within the numerical derivative’s error bound.`,
  disagree: (count) => `${VALUES(count)} do not agree.`,
  nothingFinite: "A value is not finite: there is nothing to compare.",
  betweenTheSides: `Between the two sides: ${KINK}. Either may be taken, and any between them.`,
  notBetweenTheSides: `Not between the two sides: ${KINK}.`,
  slopeSaid: (entry, home, slope) => `The loss over ${entry}: it is now ${home}, and the slope there ${slope}`,
  lossOver: "L as this number alone varies.",
  oneSlope: (slope) => `Slope: ${slope}.`,
  twoSlopes: (left, right) => `Slope on the left: ${left}, on the right: ${right}.`,
  dragIt: "Drag the point.",
  asPaths: (count) => (count === 1 ? "One path to the loss" : `A sum over ${count.toLocaleString("en")} paths to the loss`),
  tooManyPaths: (count) => `${count.toLocaleString("en")} paths are too many to be listed, and to be walked one by one.`,
  morePaths: (count, total) => `and ${count} smaller ones, together ${total}`,
  sumOfPaths: "The sum of them all is the gradient:",
  thatIsBackpropagation:
    "Paths that meet in a unit share all that comes after it. That shared part is the unit’s own gradient: to compute it " +
    "once, from the loss backward, and to use it for all that leads there is backpropagation.",
  costs: (parameters, paths, evaluations, backward) =>
    `Multiplications for the gradients of all ${parameters} parameters: path by path ${paths}; one evaluation of the ` +
    `loss for each parameter ${evaluations}; backward ${backward}.`,
};

const say = TEXTS_EN;

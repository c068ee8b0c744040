"use strict";
// What the page says, in English. Every language has the same keys; what is in <> in a text is HTML.

const KINK_EN = "an activation has a kink here, and the numerical derivative two values";
const values_en = (count) => (count === 2 ? "Both values" : `The ${["three", "four"][count - 3]} values`);
const number_en = (n) => n.toLocaleString("en");

const TEXTS_EN = {
  // the head of the page
  heading: "Backpropagation, step by step",
  subtitle: ({ network, loss, optimizer, batch, lr, seed }) =>
    `${network}, ${{ "cross-entropy": "cross-entropy", mse: "mean squared error", bce: "binary cross-entropy" }[loss]}, ${optimizer}, batch ${batch}, learning rate ${lr}, seed ${seed}`,
  damaged: "This file is damaged, and shows no numbers; scripts/trace_backprop.py writes it anew.",
  lightOrDark: "Switch between light and dark",
  otherLanguage: "中文",

  // steps
  steps: "Steps",
  firstStep: "First step",
  backOneStep: "Back one step",
  forwardOneStep: "Forward one step",
  lastStep: "Last step",
  firstStepKey: "First step (Home)",
  backKey: "Back (left arrow)",
  playKey: "Play (p)",
  forwardKey: "Forward (right arrow)",
  lastStepKey: "Last step (End)",
  play: "Play",
  pause: "Pause",
  pace: "Pace of playing",
  paces: { slow: "slow", steady: "steady", quick: "quick" },
  step: "Step",
  stepOf: (step, last, title) => `${step} of ${last}: ${title}`,
  learningRate: "learning rate",
  backToRecorded: "Back to the recorded numbers",
  changed: "changed",
  recorded: (loss) => `recorded ${loss}`,
  afterTheStep: "after the step",

  // the network and the computation
  theNetwork: "The network",
  theComputation: "The computation",
  sample: "Sample",
  above0: "above 0",
  below0: "below 0",
  ofEdges: "; an edge is as thick as its number is large",
  networkSaid: (widths) => `The network ${widths}; every number in it stands in the computation below`,
  lanes: { forward: "Forward →", backward: "← Backward", update: "Update" },
  data: "Data",
  loss: "Loss",
  linearColumn: (k) => `Linear ${k}`,
  activationColumn: (type, k) => `${type} ${k}`,
  single: "number",
  oneOfMany: (cols) => `one sample × ${cols}`,
  notYet: "not computed yet",
  aNumber: "a number",
  by: " by ",
  notes:
    "Rows and columns are counted from 0, as in NumPy; the superscript is the number of the layer. A condition in square " +
    "brackets is 1 where it holds, else 0; ⊙ multiplies entry by entry.",
  keys:
    "<kbd>←</kbd> <kbd>→</kbd> step, <kbd>Home</kbd> and <kbd>End</kbd> go to the first and the last step, <kbd>p</kbd> " +
    "plays. Inside an array the arrow keys go from number to number, <kbd>Enter</kbd> changes one that is given, " +
    "<kbd>Esc</kbd> goes back, and lets go.",

  // what a screen reader hears
  gradientBy: (name) => `gradient of the loss by ${name}`,
  renewed: "new",
  afterUpdate: (name) => `${name} after the update`,
  prime: " prime",
  comma: ", ",
  rowAndColumn: (i, j) => `row ${i}, column ${j}`,
  row: (i) => `row ${i}`,
  column: (j) => `column ${j}`,

  // a step's title and sentence
  givenTitle: "What is given",
  given: "A batch with its labels, and the weights as they are before the step. Nothing is computed yet.",
  linearTitle: (k) => `Forward: layer ${k}, linear`,
  linear: (biased) =>
    `Each unit sums its inputs, every one times the weight of its edge${biased ? ", and adds its bias." : "."}`,
  activationTitle: (k, type) => `Forward: layer ${k}, ${type}`,
  activation: "Entry by entry: no unit sees another one here.",
  dropoutColumn: (k) => `Dropout ${k}`,
  dropoutTitle: (k) => `Forward: layer ${k}, dropout`,
  dropout: (p) =>
    `The mask is 0 with probability ${p}, else 1/(1 − ${p}): on average nothing changes. Each step draws another mask; here one is kept, so that numbers can be compared.`,
  dropoutGradientTitle: (k) => `Backward: through layer ${k}, dropout`,
  dropoutGradient: "The same mask: what was left out learns nothing from this sample.",
  batchNormColumn: (k) => `Batch norm ${k}`,
  batchNormTitle: (k) => `Forward: layer ${k}, batch norm`,
  batchNorm:
    "Each unit is brought to mean 0 and variance 1 over the batch, then stretched by γ and shifted by β: here the samples meet.",
  scaleGradientTitle: (k) => `Backward: the scale γ of layer ${k}, batch norm`,
  scaleGradient: "What γ was multiplied by, times the gradient, summed over the samples.",
  shiftGradientTitle: (k) => `Backward: the shift β of layer ${k}, batch norm`,
  shiftGradient: "As with a bias: it adds to every sample alike.",
  batchNormGradientTitle: (k) => `Backward: through layer ${k}, batch norm`,
  batchNormGradient:
    "Mean and variance hold what all samples could push together: of the gradient its mean is taken away, and its share along x̂.",
  softmaxTitle: "Forward: probabilities",
  softmax: "Softmax makes each sample’s outputs, its logits, into probabilities that sum to 1.",
  lossTitle: "The loss: cross-entropy",
  lossText: "One number: how surprised the network is by the labels, on average over the samples.",
  logitsGradientTitle: "Backward: through the loss and the softmax",
  logitsGradient: "Probability minus truth. The exponential and the logarithm cancel, which is why the two belong together.",
  mseTitle: "The loss: mean squared error",
  mseText: "One number: how far the outputs are from their targets, squared, on average over all of them.",
  bceTitle: "The loss: binary cross-entropy",
  bceText: "Each output is a question with the answer yes (1) or no (0); its sigmoid σ is the probability of yes.",
  outputGradientTitle: "Backward: through the loss",
  mseGradient: "Prediction minus target, twice: the derivative of a square. C counts the outputs.",
  bceGradient: "Probability minus truth, as with softmax: the sigmoid’s derivative cancels. C counts the outputs.",
  weightGradientTitle: (k) => `Backward: the weights of layer ${k}`,
  weightGradient:
    "What went into an edge, times the gradient at its far end, summed over the samples. The edges drawn are these gradients.",
  biasGradientTitle: (k) => `Backward: the biases of layer ${k}`,
  biasGradient: "A bias adds to every sample alike, so it gathers the gradients of all.",
  inputGradientTitle: (k) => `Backward: through layer ${k}, linear`,
  inputGradient: "The same edges, walked the other way: each unit sums the gradients that it caused, times the weights.",
  inputGradientOfData:
    "The same edges, walked the other way, to the data itself. Training has no use for this last one.",
  activationGradientTitle: (k, type) => `Backward: through layer ${k}, ${type}`,
  activationGradient: "Entry by entry: the gradient from above, times the slope of the activation at that point.",
  slopeGradientTitle: (k, type) => `Backward: the slope of layer ${k}, ${type}`,
  slopeGradient: "The slope only matters where its input was negative. It gathers over all entries that share it.",
  updateTitle: (k) => `Update: layer ${k}`,
  update: "Against the gradient, by the learning rate η: downhill, for small steps.",
  momentum:
    "The gradients of the steps before are remembered, each less than the next, in v: a ball that rolls downhill. At first v is 0.",
  adam:
    "m averages the gradient over the steps, v its square; each is divided by what it lacks, having begun at 0. Each number " +
    "moves by about η, however large its gradient is.",
  keptFromBefore: "The optimizer keeps this from the step before; at training step 0 it is 0.",
  againTitle: "The loss again",
  again:
    "The same batch goes forward once more, with the new parameters. The loss is smaller, unless the learning rate is too " +
    "large: try ten times as much, and a hundred times.",

  // the answer
  asked: "Where a number comes from",
  hint: "Hover, tap or focus any number to ask where it comes from. An underlined one can be changed.",
  letGo: "Let go (Escape)",
  computedBy: (step) => `Step ${step} computes it: go there`,
  madeFrom: (n) => (n === 1 ? "made from 1 number" : `made from ${n} numbers`),
  andMore: (n) => `and ${n} more`,
  isGiven: "given",
  goesInto: (n) => (n === 0 ? "goes into none" : n === 1 ? "goes into 1 number" : `goes into ${n} numbers`),
  aClass: (last) => `a class, 0 to ${last}`,
  aShare: "a number, 0 to 1",
  anyNumber: "a number, −1,000,000 to 1,000,000",
  anyRate: "a number ≥ 0",
  expected: (wanted) => `expected ${wanted}`,
  allFollows: (wanted) => `${wanted}; all that depends on it follows`,

  // a gradient beside what others say of it
  torchOnlyParameters: "Of so many points torch was asked for the gradients of the parameters only.",
  torchNotInstalled: "torch was not installed where this was recorded.",
  torchBeforeChange: "You changed a number: torch, which was asked when this was recorded, has no say here.",
  torchOnlyFirst: "torch was asked at training step 0 only; from there on the numerical derivative is this page’s own.",
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
  agree: (count) => `${values_en(count)} agree: within the numerical derivative’s error bound.`,
  disagree: (count) => `${values_en(count)} do not agree.`,
  nothingFinite: "A value is not finite: there is nothing to compare.",
  betweenTheSides: `Between the two sides: ${KINK_EN}. Either may be taken, and any between them.`,
  notBetweenTheSides: `Not between the two sides: ${KINK_EN}.`,

  // slope and paths
  slopeSaid: (entry, home, slope) => `The loss over ${entry}: it is now ${home}, and the slope there ${slope}`,
  lossOver: "L as this number alone varies.",
  oneSlope: (slope) => `Slope: ${slope}.`,
  twoSlopes: (left, right) => `Slope on the left: ${left}, on the right: ${right}.`,
  dragIt: "Drag the point.",
  asPaths: (count) => (count === 1 ? "One path to the loss" : `A sum over ${number_en(count)} paths to the loss`),
  tooManyPaths: (count) => `${number_en(count)} paths are too many to be listed, and to be walked one by one.`,
  morePaths: (count, total) => `and ${count} smaller ones, together ${total}`,
  sumOfPaths: "The sum of them all is the gradient:",
  thatIsBackpropagation:
    "Paths that meet in a unit share all that comes after it. That shared part is the unit’s own gradient: to compute it " +
    "once, from the loss backward, and to use it for all that leads there is backpropagation.",
  costs: (parameters, paths, evaluations, backward) =>
    `Multiplications for the gradients of all ${number_en(parameters)} parameters: path by path ${number_en(paths)}; one ` +
    `evaluation of the loss for each parameter ${number_en(evaluations)}; backward ${number_en(backward)}.`,

  // training
  training: "Training",
  trainingHeading: "Training: the same batch, step after step",
  backToStep0: "Back to training step 0",
  nextStep: "Next step",
  tenSteps: "Ten steps",
  hundredSteps: "A hundred steps",
  run: "Run",
  trainingStepName: "Training step",
  trainingStep: (at) => `training step ${at}`,
  takeTheStep: "Take the step",
  onTo: (next) => `On to training step ${next}`,
  curveSaid: (steps, first, last) => `The loss over ${steps} training steps: ${first} at first, ${last} at last`,
  logarithmic: "logarithmic",
  notFinite: (at) => `Diverged: at training step ${at} the loss is no finite number. The learning rate is too large.`,
  grown: "The loss is more than twice what it was at first: the learning rate is too large.",
  mostSteps: (most) => `After ${number_en(most)} steps the page stops.`,

  // the plane
  thePlane: "The plane: what the network makes of every point",
  planeSaid: "The plane of the two inputs, in the colours of the classes as the network tells them, with the points",
  unitSaid: "What a hidden unit makes of the plane",
  spaceSaid: "The plane of two hidden units, with the points in it",
  spaceOf: "The plane of",
  pointsRight: (right, all) => `${right} of ${all} points are in the colour of their class.`,
  clickAdds: "A click on a point has its sample in the tables; a click elsewhere adds a point",
  ofClass: "of class",
  addHere: "Add one at the shown sample",

  // the health of the layers
  theHealth: "The health of training, layer by layer",
  layer: "layer",
  healthAxis: (low, high) => `1e${low} to 1e${high}`.replaceAll("-", "−"),
  rmsOfGradient: "gradient, RMS",
  updateOverWeight: "update / weight",
  deadUnits: "dead units",
  saturated: "saturated",
  outOf: (few, all) => `${few} of ${all}`,
  another: "Another network on this batch:",
  hiddenLayers: "hidden layers",
  activationChoice: "activation",
  initialValues: "initial values",
  asRecorded: "as recorded",
  initializers: { xavier: "Xavier", kaiming: "Kaiming (He)", small: "normal, 0.01", large: "normal, 1", zeros: "zeros" },
  torchNotHere: "This network was made by the page: torch was not asked.",

  // predict
  predict: "Predict before you see",
  worksheet: "Print as a worksheet, answers on a second sheet",
  predicting: (open, all) => `Some numbers are blank (?): point at one, and type what it will be. ${all - open} of ${all} so far.`,
  showIt: "Show it",
  checkIt: "Check",
  typeANumber: "Type a number, to three digits.",
  notThatNumber: "Not that number. Put the numbers above into the formula.",
  answers: "Answers",
  missed: ([what, remedy]) => `${what}: ${remedy}.`,
  slips: {
    biasMissing: "The bias is missing.",
    activationMissing: "That is the number before the activation.",
    notNormalized: "Divide by the sum over all classes, so that the probabilities sum to 1.",
    summedNotMean: "That is the sum: the loss is the mean.",
    minusMissing: "The sign: it is minus the logarithm.",
    decimalLogarithm: "That is the logarithm to the base 10: the natural one is meant.",
    rateMissing: "The gradient is to be multiplied by the learning rate.",
    uphill: "That goes uphill: the step is against the gradient.",
    signMissed: "The size is right, the sign is not.",
  },

  // find the mistake
  findTheMistake: "Find the mistake",
  hideOne: "Hide one in the backward pass:",
  noMistake: "none",
  mistake: (k) => `mistake ${k}`,
  huntBegins:
    "One formula of the backward pass is wrong. Train: the loss may fall all the same. Compare gradients with their " +
    "numerical derivatives, from the loss backward, go to the step that is wrong first, and mark it. The formulas shown " +
    "are the right ones.",
  mistakeChangesNothing: "The mistake that was asked for changes no number of this network: none is hidden.",
  programHas: "the program has",
  accuse: "The mistake is in this step",
  // The checker's own words: what is wrong, and the remedy.
  causes: JSON.parse(document.getElementById("causes").textContent),
  found: ([what, remedy]) => `Yes, this step is the guilty one: ${what}. The remedy: ${remedy}.`,
  handedWrong:
    "No. The numbers of this step are wrong, but its formula is right: it was handed wrong ones. Look nearer to the loss.",
  innocent: "No. The numbers of this step are right: compare them with the numerical derivatives.",

  // the short form
  rms: (x) => `RMS ${x}`,
  labels: (count) => `${count} labels`,
  labelCounts: (counts) => `How often each label occurs: ${counts}`,
  digits: "The first digits, and what the network takes them for before this step",
  digitSaid: (label, prediction, probability) => `label ${label}, taken for ${prediction} (${probability})`,
  weightImages: "Weights",
  gradientImages: "Gradient by the weights",
  imagesOf: (what, units, total) =>
    `${what} of the first layer, an image a unit${total > units ? `; the first ${units} of ${total}` : ""}`,
  hintShort: "Hover, tap or focus any histogram to ask where its numbers come from.",
  oneNumber: (x) => `one number: ${x}`,
  summary: (size, low, high, mean, rootMeanSquare, zeros) =>
    `${size} numbers from ${low} to ${high}, mean ${mean}, root mean square ${rootMeanSquare}, ${zeros} % of them 0`,
  computedByStep: (step) => `Step ${step} computes it.`,
};

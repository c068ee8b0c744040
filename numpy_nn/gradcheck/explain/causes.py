"""The causes of wrong gradients by name: what is wrong, and the remedy."""

from __future__ import annotations

WORDS: dict[str, tuple[str, str]] = {
    "zero": ("the gradient is 0 everywhere", "write it: is the result of backward stored, and under the right name?"),
    "not_finite": (
        "the gradient is not finite, where the function is",
        "look for a division by 0, a log of 0, or an overflowing exp",
    ),
    "sign": ("the sign is flipped", "multiply by -1, or swap the two sides of the subtraction"),
    "target_minus_prediction": (
        "target minus prediction, instead of prediction minus target",
        "swap the two sides of the subtraction",
    ),
    "factor": ("the gradient is off by a constant factor", "look for a factor that is missing or applied twice"),
    "batch_mean_missing": (
        "the gradient is not divided by the batch size",
        "divide by the number of rows, as the mean in the loss does",
    ),
    "batch_mean_twice": (
        "the gradient is divided by the batch size once too often",
        "divide once, in the loss: a layer sums over the batch, and does not average",
    ),
    "elements_mean": (
        "the gradient is divided by the number of elements instead of rows",
        "divide by x.shape[0], not by x.size",
    ),
    "wrong_axis_mean": (
        "the mean is taken over the wrong axis",
        "take it over the axis that forward does: in a loss over the batch, the number of rows and not of columns",
    ),
    "transposed": (
        "the gradient is made with a matrix that should be transposed",
        "for y = x W: dx = dy W^T, dW = x^T dy",
    ),
    "not_transposed": (
        "the forward map itself is applied to the gradient, where its transpose belongs",
        "of y = A x it is A^T dy: turn back what was turned, shift back, flip a kernel, add up from the other end",
    ),
    "derivative_missing": ("the derivative of the function (of the activation, say) is left out", "multiply by f'(x)"),
    "derivative_at_output": (
        "the derivative is taken at the output f(x) instead of at the input x",
        "keep the input in forward, and use it in f'",
    ),
    "derivative_at_input": (
        "a derivative written in terms of the output is given the input",
        "s (1 - s) and 1 - t^2 want s = sigmoid(x), t = tanh(x), not x",
    ),
    "derivative_in_part": (
        "a part of the derivative is left out, which is a (1 - a) of a sigmoid's output a, and 1 - a^2 of tanh's",
        "write the whole of it: 1 - a alone is the derivative of neither",
    ),
    "derivative_twice": ("the function's derivative is applied twice", "multiply by f'(x) once"),
    "other_activation": (
        "this is the derivative of another activation",
        "use the derivative of the function that forward computes",
    ),
    "alpha_missing": (
        "alpha is left out of the derivative where the input is negative",
        "for f(x) = alpha (exp(x) - 1) it is alpha exp(x), which is f(x) + alpha",
    ),
    "mask_inverted": (
        "the mask is inverted: the gradient passes where it should not",
        "let it pass where forward let the value pass",
    ),
    "mask_wrong_tensor": (
        "the mask is taken from grad_output instead of the input",
        "take the mask from what forward saw",
    ),
    "bias_not_summed": ("the gradient of the bias is not summed over the batch", "sum over axis 0"),
    "averaged_not_summed": (
        "the gradient of a parameter is divided by the number of elements that it acts on",
        "do not divide it: sum it over all of them; the loss has divided already",
    ),
    "bias_averaged": (
        "the gradient of the bias is averaged over the batch, not summed",
        "use sum(axis=0); the loss has divided already",
    ),
    "stale_input": (
        "the gradient is that of the previous batch's input",
        "store the input in every forward call, before it is used",
    ),
    "updated_too_early": (
        "the gradient is computed with the parameters after their update, not with those of the forward pass",
        "compute every gradient first, the input's too, and update the parameters after that",
    ),
    "accumulated": (
        "the gradient is added to that of the call before",
        "assign it instead of using +=, or offer zero_grad() and call it before backward",
    ),
    "no_influence": (
        "the output does not depend on it, so that its gradient is 0, and another is claimed",
        "if it should matter, look at forward, which may leave it out or read another array; else claim 0",
    ),
    "softmax_elementwise": (
        "softmax is treated as if it worked entry by entry: the terms off the diagonal are missing",
        "dx = s (g - sum(g s))",
    ),
    "log_softmax_row_sum": ("the subtraction of the row's sum is missing", "dx = g - softmax(x) sum(g)"),
    "target_missing": ("the target is not subtracted", "subtract the target (the one-hot row) from the prediction"),
    "softmax_missing": (
        "the target is subtracted from the raw scores, not from the probabilities",
        "apply softmax or sigmoid to the scores first",
    ),
    "weight_decay": (
        "a multiple of the parameter itself is left in: weight decay or another regulariser",
        "leave it to the optimizer, or add it to the loss",
    ),
    "penalty_factor": (
        "the gradient of the penalty (weight decay, a regulariser) is off by a factor",
        "differentiate what the loss has: the gradient of reg sum(W^2) is 2 reg W, that of 0.5 reg sum(W^2) is reg W",
    ),
    "penalty_missing": (
        "the loss has a penalty on the parameter (weight decay, a regulariser), and its gradient, or a part of that, "
        "is left out",
        "add it: the gradient of reg sum(W^2) is 2 reg W, that of 0.5 reg sum(W^2) is reg W",
    ),
    "dropout_scale": ("dropout's scale 1 / (1 - p) is forgotten", "multiply by the same scaled mask as in forward"),
    "dropout_mask": ("dropout's mask is not applied", "multiply by the same scaled mask as in forward"),
    "batch_norm_constant_statistics": (
        "mean and variance are taken as constants, though they depend on x",
        "dx = (h - mean(h) - x^ mean(h x^)) / sqrt(var + eps), with h = dy weight",
    ),
    "batch_norm_mean_constant": ("the mean is taken as a constant, though it depends on x", "subtract mean(h) as well"),
    "batch_norm_variance_constant": (
        "the variance is taken as a constant, though it depends on x",
        "subtract x^ mean(h x^) as well",
    ),
    "factor_constant": (
        "one factor of a product is taken as a constant, though it depends on x",
        "by the product rule (u v)' = u' v + u v': look for a factor that is detached, or kept from before",
    ),
    "other_loss": (
        "this is the gradient of another loss of the same output",
        "differentiate the loss that is computed, or compute the one that is differentiated",
    ),
    "constant_added": (
        "the same number is added to the gradient at some coordinates, or at all",
        "look for a number that is added to what the derivative gives, or that should be subtracted and is not",
    ),
    "sign_alone": (
        "the signs of the gradient are returned, and not the gradient",
        "return the gradient itself, and leave it to the optimizer what it makes of it",
    ),
    "newton": (
        "the gradient is divided by the second derivatives, as a step of Newton's method is",
        "return the gradient itself, and leave it to the optimizer what it makes of it",
    ),
    "first_value": (
        "a parameter is left out of the gradient, or taken for the number that it begins with, though forward uses it",
        "use the parameter itself in backward wherever forward does: training moves it",
    ),
    "length_constant": (
        "the length that x is divided by is taken as a constant, though it depends on x",
        "subtract x^ mean(h x^) as well, or x^ sum(h x^) for the root of a sum",
    ),
    "gamma_missing": (
        "gamma is left out of the gradient of a normalization's input",
        "begin with h = dy gamma: dx = (h - mean(h) - x^ mean(h x^)) / sqrt(var + eps)",
    ),
    "gamma_outside": (
        "gamma is multiplied after the means are taken, though it varies along what they are taken over",
        "begin with h = dy gamma: dx = (h - mean(h) - x^ mean(h x^)) / sqrt(var + eps)",
    ),
    "partly_filled": ("only a part of the gradient is filled in, the rest is 0", "write the other rows or columns too"),
    "branch": (
        "one branch of the function has another derivative than the gradient says, or begins elsewhere",
        "differentiate each branch by itself, and let both passes choose it by the same condition",
    ),
    "one_example": ("one row of the batch alone is used", "sum over all rows: dW = x^T dy"),
    "grad_output_ignored": ("grad_output is ignored: this is the gradient for ones", "multiply by grad_output"),
    "fused_activation": (
        "this is the gradient with respect to the scores before softmax or sigmoid, not to the probabilities",
        "it is right if the backward pass of softmax or sigmoid is left out; with it, divide by its derivative",
    ),
    "target_broadcast": (
        "the targets have another shape than the output, and are broadcast: every output meets every target",
        "give both the same shape, say with targets.reshape(output.shape), so that the difference has it too",
    ),
    "epsilon": (
        "a small number, epsilon, stands in forward and not in backward, or elsewhere there",
        "differentiate what forward computes: sqrt(var + eps) is not sqrt(var) + eps, nor log(p + eps) log(p)",
    ),
    "repeated_index": (
        "an entry that is used more than once gets the gradient of one use: = (or [index] +=) keeps the last",
        "add up all uses: np.add.at(dx, index, grad), or += for each window",
    ),
    "output_left_out": (
        "the gradient of one of the outputs is left out",
        "add up what comes from each output, also where one of them is made of another",
    ),
    "picked": (
        "of several gradients that belong to one entry, one is picked",
        "add them up: an entry that forward copies to several places gets the sum of their gradients",
    ),
    "axes_exchanged": (
        "two axes are exchanged, such as height and width, rows and columns",
        "follow the axes by name through forward and backward; reshape does not transpose",
    ),
    "stride_missing": (
        "the stride is left out of backward: the windows start at i instead of i * stride",
        "let the window of output i start at i * stride, as in forward",
    ),
    "overwritten_windows": (
        "windows that overlap overwrite one another's gradients",
        "use += where a window's gradient is written",
    ),
    "kernel_flipped": (
        "the kernel is flipped the wrong way round in the gradient of the convolution's input",
        "use the kernel turned by 180 degrees with a full correlation, or add up kernel * grad for each window",
    ),
    "clipped": (
        "the gradient's entries are clipped",
        "leave clipping to the training loop, after all gradients are there",
    ),
    "norm_clipped": (
        "the gradient is scaled to a fixed norm",
        "leave clipping to the training loop, after all gradients are there",
    ),
    "learning_rate": (
        "the gradient is multiplied by a small constant, such as a learning rate",
        "return the gradient itself, and let the optimizer multiply by the learning rate",
    ),
    "truncated": (
        "backpropagation through time stops after some steps back",
        "go back to the first step; if it is truncated on purpose, it is an approximation, not the gradient",
    ),
    "wrong_axis_sum": (
        "the sum runs over the wrong axis",
        "sum over the axes along which the array is repeated, and over no other: for a bias, over the batch",
    ),
    "broadcast_not_summed": (
        "the gradient has the shape after broadcasting, and is not summed back",
        "sum over the axes along which forward repeats the array",
    ),
    "straight_through": (
        "a straight-through estimator: the function is a staircase, whose gradient is 0, and grad_output is passed on",
        "it is deliberately not the gradient: say so where it is used, and check the parts around it",
    ),
    "surrogate": (
        "the function moves in steps alone, so that its gradient is 0; the claimed one is that of another function",
        "if a smooth function is meant in its place, a surrogate, name it, surrogate=, to have the gradient checked as "
        "that one's; else return 0",
    ),
    "argument_order": (
        "this is the gradient with respect to another argument",
        "return the gradients in the order of the arguments, each under its own name",
    ),
    "product_exchanged": (
        "the matrix product @ and the product entry by entry * are exchanged",
        "use @ in backward where forward has @, and * where it has *",
    ),
    "layer_skipped": (
        "a layer is left out on the way back: what is handed on is the gradient that it has got, of its output",
        "hand on the gradient with respect to its input: for y = f(x W), dz = dy f'(z) and dx = dz W^T",
    ),
    "other_layer": (
        "what belongs to another layer is used: its weights, its input, or the derivative at its numbers",
        "keep for each layer what its own forward pass has seen, and use that of layer l in layer l",
    ),
    "before_activation": (
        "the input of a layer is taken as it was before the activation",
        "keep what the activation returned, a = f(z): for y = a W, dW = a^T dy",
    ),
    "skip_missing": (
        "the gradient of the skip connection is left out",
        "add grad_output: for y = x + f(x), dx = dy + dy f'(x)",
    ),
    "weights_missing": (
        "the gradient is handed on without the weights of the layer after it",
        "multiply by them: for y = x W, dx = dy W^T",
    ),
    "wrong_shape": ("the gradient has not the shape of what it belongs to", "give it the same shape"),
}

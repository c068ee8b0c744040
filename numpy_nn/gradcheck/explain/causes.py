"""The causes of wrong gradients by name: what is wrong, and the remedy."""

from __future__ import annotations

Found = tuple[str, str]  # a cause, and the evidence in words

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
        "divide by the number of rows (axis 0), not of columns",
    ),
    "transposed": (
        "the gradient is made with a matrix that should be transposed",
        "for y = x W: dx = dy W^T, dW = x^T dy",
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
    "derivative_twice": ("the function's derivative is applied twice", "multiply by f'(x) once"),
    "other_activation": (
        "this is the derivative of another activation",
        "use the derivative of the function that forward computes",
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
    "bias_averaged": (
        "the gradient of the bias is averaged over the batch, not summed",
        "use sum(axis=0); the loss has divided already",
    ),
    "stale_input": (
        "the gradient is that of the previous batch's input",
        "store the input in every forward call, before it is used",
    ),
    "accumulated": (
        "the gradient is added to that of the call before",
        "assign it instead of using +=, or offer zero_grad() and call it before backward",
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
    "partly_filled": ("only a part of the gradient is filled in, the rest is 0", "write the other rows or columns too"),
    "one_example": ("one row of the batch alone is used", "sum over all rows: dW = x^T dy"),
    "grad_output_ignored": ("grad_output is ignored: this is the gradient for ones", "multiply by grad_output"),
    "wrong_shape": ("the gradient has not the shape of what it belongs to", "give it the same shape"),
}

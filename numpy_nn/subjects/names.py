"""What the names in people's code tell: which argument is the gradient, the target, a cache; which array the gradient.

Names are looked at without regard to case and to underscores at their ends.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from typing import Any

from numpy_nn.subjects.running import Patience, Running, SubjectError
from numpy_nn.subjects.two_ways_back import two_ways_back


def words(text: str) -> tuple[str, ...]:
    """The words of a text."""
    return tuple(text.split())


# The roles of an argument.
GRAD, CACHE, TARGET, PREDICTION, RATE, UNKNOWN = "gradient", "cache", "target", "prediction", "rate", ""

_GRADS = words(
    "g grad grads gradient gradients grad_output grad_outputs grad_out grad_y gradoutput gy dout dy dz da dh "
    "dc dl doutput doutputs dvalues dvalue dscores dloss delta deltas error err eps_next upstream "
    "upstream_grad upstream_gradient output_gradient output_gradients output_grad output_grads out_grad "
    "output_error cotangent cotangents ct accum_grad top_diff dnext dprev v vjp_g"
)
_GRAD_PATTERN = re.compile(
    r"^(d[A-Z]\w*|d_\w+|grad_?\w*|\w+_(grad|gradient|grads|cotangent)|d(next|prev)_?\w*|d[a-z]_\w+|d[a-z]+_(prev|next|out|curr)|d(out|y|z|a|h|l)\d*)$"
)
HELD_LOSSES = words("loss loss_fn loss_func loss_function criterion cost cost_fn cost_func cost_function objective")
_OF_ALL = words("grads gradients grads_dict gradients_dict grad_dict gradient_dict param_grads parameter_gradients")
_CACHES = words(
    "cache caches ctx context saved saved_tensors res residual residuals memory mem tape stash store cached "
    "linear_cache activation_cache"
)
_TARGETS = words(
    "t y ytrue true actual actuals expected truth gt ground_truth desired teacher targ y_real y_actual lbl one_hot "
    "onehot d y_train y_batch yb one_hot_y y_one_hot y_onehot onehot_y y_enc"
)
_PREDICTIONS = words("ypred yhat out p probabilities a al x z h o yp inp activations")
_TARGET_PATTERN = re.compile(r"y_true|target|label|true_|\w+_true$")
_PREDICTION_PATTERN = re.compile(
    r"y_pred|pred|recon|\w+_(recon(structed|struction)?|pred|hat)$|(y_)?((in|out)put|logit|score|prob)s?$"
)
_RATES = words("lr eta rate step_size stepsize alpha_lr lr0 eta0 base_lr init_lr initial_lr curr_lr cur_lr current_lr")
_RATE_PATTERN = re.compile(r"l\w*rate_?(0|init)?")  # learning_rate, however it is written

FORWARDS = words(
    "forward forward_pass fprop feedforward feed_forward forward_propagation forward_prop forward_propagate forwards "
    "forward_step propagate apply predict_proba decision_function predict fp fwd ff activate call function fn f "
    "compute calculate calc value __call__ evaluate output outputs compute_output func query think hypothesis run "
    "reconstruct feed prop infer inference transform process pass_forward update_output"
)
BACKWARDS = words(
    "backward backward_pass backward_delta bprop backprop back_prop backpropagation backward_propagation "
    "back_propagation backpropagate back_propagate backward_prop backward_propagate backwards backward_step "
    "backward_propagate_error back_propagate_error back back_pass bp bwd bptt grad gradient derivative vjp prime df "
    "f_prime deriv compute_grad compute_gradient compute_gradients calc_grad calculate_gradient gradients grads "
    "pullback adjoint d"
)
# What a name may begin with beside one of these words: get_output, compute_loss.
_VERBS = re.compile("^(get|compute|calculate|calc|do|run)(?=.)")
# What a function and its derivative may differ by.
DERIVATIVES = words("derivative deriv prime gradient grad backward")
# By which of these words the names of two passes may differ.
OPPOSITE = (("forward", "backward"), ("forward", "backprop"), ("fwd", "bwd"), ("fprop", "bprop"), ("feed", "back"))
LOSSES = words(
    "loss compute_loss loss_function lossfunction cost compute_cost cost_function costfunction objective "
    "error loss_and_gradient loss_and_gradients loss_and_grad loss_and_grads nll neg_log_likelihood "
    "negative_log_likelihood"
)
LOSS_GRADIENTS = BACKWARDS + words(
    "gradient gradients grad grads compute_gradients compute_gradient compute_grads gradient_function "
    "cost_function_prime costfunctionprime loss_gradient loss_grad d_loss dloss loss_prime cost_prime "
    "cost_derivative error_prime error_derivative error_grad error_gradient backprop backward backward_pass bprop "
    "backpropagation delta derivative prime acc_grad diff input_grad input_gradient grad_input gradient_input jac "
    "jacobian fprime"
)
# By which argument a function is told to give its derivative.
DERIVATIVE_FLAGS = words(
    "derivative deriv derive derv der prime grad gradient diff differentiate is_derivative return_derivative "
    "get_derivative backward backprop back d dx"
)
# Called between two steps where gradients are added up, or inputs kept.
_RESET = re.compile(r"(do)?(zero|(zero|reset|clear|clean|flush|empty|null)\w*(grad|diff|delta|nabla)\w*)")
# What makes an object's parameters once it is told the shape of its input.
BUILDS = words("build setup initialize init_params init_parameters init_weights initialize_parameters")
# A step of training that an object makes by itself.
UPDATES = words(
    "update step update_params update_parameters update_weights update_parameter apply_gradients apply_grads "
    "apply_update optimize optimizer_step gradient_step sgd_step gradient_descent descend train_step training_step "
    "train_on_batch train_batch fit_batch"
)
# What makes such a step of data and targets: train() alone may be a mode.
TRAINS = (*UPDATES, *words("train learn fit_step partial_fit"))
FITS = words("fit train_network")  # these too, if they are told how many to make
# Arguments that are no arrays, and what a forward pass in training is given for them.
SETTINGS = {
    **dict.fromkeys(("training", "train", "is_training", "train_flg", "is_train"), True),
    **dict.fromkeys(("save_cache", "keep_cache", "store_cache", "save_for_backward"), True),
    "mode": "train",
}
# What is False in an object that is not in training.
TRAINING_FLAGS = words("training train is_training train_flg is_train train_mode training_mode istraining in_training")
# Where a forward pass that returns nothing leaves its output, and a backward pass the gradient of its input.
OUTPUTS = words("output out outputs y a activation result top z h h_next next_h")
INPUT_GRADIENTS = words(
    "dinputs dinput dx d_input d_inputs d_x grad_input grad_inputs grad_x input_grad input_gradient x_grad "
    "dinp gradinput gx dx_prev da_prev bottom_diff inp_grad g delta"
)
GRADIENT_CONTAINERS = words(
    "grads gradients grad gradient g dparams dparameters param_grads params_grad parameter_gradients "
    "derivatives dweights nablas diffs diff deltas grad_dict gradient_dict d grad_params weight_grads"
)
PARAMETER_GRADIENTS = words("grad gradient g d dw diff grads grad_value derivative delta")  # of what is a parameter

GRADIENT_FORMS = words(
    "d{} d_{} grad_{} {}_grad grad{} {}grad {}_gradient {}_gradients gradient_{} g{} g_{} {}_g nabla_{} dl_d{} dld{} "
    "dj_d{} djd{} dloss_d{} del_{} partial_{} {}_d {}_grads d{}_total dc_d{} de_d{} ded{} dcd{}"
)
# What may as well be the step that is taken, or the sum of steps.
DOUBTFUL_FORMS = words("delta_{} {}_delta delta{} deriv_{} {}_derivative diff_{} {}_diff update_{} {}_update {}_bar")
SYNONYMS = ({"w", "weight", "weights", "kernel", "kernels", "wt"}, {"b", "bias", "biases", "offset"})
# A name or a part of it that says that gradients are there.
_OF_GRADIENTS = re.compile(
    r"grad|nabla|deriv|^[dg][A-Z]|^d_|(^|_)deltas?(_|$)|^[dg]([a-z]|gamma|beta|bias|weight)\d*$", re.ASCII
)


def plain(name: Any) -> str:
    """The name without case and without underscores at its ends; that of a private attribute as it is written."""
    return _plain(str(name))


@lru_cache(maxsize=2**12)
def _plain(name: str) -> str:
    return _MANGLED.sub("", name).strip("_").lower()


# What Python puts before a private name: self.__W of a class Net is kept as _Net__W.
_MANGLED = re.compile(r"^_[A-Za-z]\w*?(?=__[A-Za-z])")


def role(name: str) -> str:
    """What an argument of this name of a backward pass is likely to be."""
    word = plain(name)
    if word in _RATES or _RATE_PATTERN.fullmatch(word):
        return RATE
    if word in _CACHES or word.endswith("cache"):
        return CACHE
    if word in _GRADS or _GRAD_PATTERN.match(name):
        return GRAD
    return UNKNOWN


def role_in_loss(name: str) -> str:
    """Whether an argument of a loss is the target or the prediction, as far as its name tells."""
    word = plain(name)
    if word in _RATES or _RATE_PATTERN.fullmatch(word):
        return RATE
    if word in _TARGETS or _TARGET_PATTERN.match(word):
        return TARGET
    if word in _PREDICTIONS or _PREDICTION_PATTERN.match(word):
        return PREDICTION
    return UNKNOWN


def roles_in_loss(own: Sequence[str]) -> list[str]:
    """The roles of a loss's first two arguments: of ``t`` and ``y``, which may both be targets, y is the output."""
    both = [plain(name) for name in own[:2]]
    if sorted(both) == ["t", "y"]:
        return [TARGET if word == "t" else PREDICTION for word in both]
    return [role_in_loss(name) for name in own[:2]]


def with_target_at(last: int, own: Sequence[str]) -> list[str]:
    """The names of a function's arguments with that of the target, if one alone is called so, in this place."""
    found = [name for name in own[: last + 1] if role_in_loss(name) == TARGET]
    if len(found) != 1:
        return list(own)
    others = [name for name in own if name != found[0]]
    return [*others[:last], found[0], *others[last:]]


def is_of_all(name: str) -> bool:
    """Whether an argument of this name may hold the gradients of all parameters."""
    return plain(name) in _OF_ALL


def tells_gradients(name: Any) -> bool:
    """Whether an attribute, a key or a list of this name is likely to hold a gradient, of whatever it may be.

    What is kept as v is none, though an argument of a vjp may be: it is the velocity of an optimizer, or a value.
    """
    if not isinstance(name, str) or plain(name) == "v":
        return False
    return _OF_GRADIENTS.search(name) is not None or plain(name) in GRADIENT_CONTAINERS or role(name) == GRAD


def is_gradient_of(name: Any, of: Any) -> float:
    """How surely ``name`` is that of the gradient of ``of``: 1 for the usual forms, 0 for no relation.

    Of two tuples, as ``("dW", 1)`` and ``("W", 1)``, one part tells, and the others are the same.
    """
    if isinstance(name, tuple) and isinstance(of, tuple) and len(name) == len(of):
        apart = [(a, b) for a, b in zip(name, of, strict=True) if a != b]
        return is_gradient_of(*apart[0]) if len(apart) == 1 else 0.0
    return _is_gradient_of(name, of) if isinstance(name, str) and isinstance(of, str) else 0.0


@lru_cache(maxsize=2**12)
def _is_gradient_of(name: str, of: str) -> float:
    if any(form.format(of) == name for form in GRADIENT_FORMS):
        return 1.0
    word, base = plain(name), plain(of)
    others = next((group for group in SYNONYMS if base in group), set())
    for forms, sure in ((GRADIENT_FORMS, 0.95), (DOUBTFUL_FORMS, 0.5)):
        if any(form.format(base) == word for form in forms):
            return sure
        if any(form.format(other) == word for form in forms for other in others):
            return sure - 0.1
    return 0.0


def callables(thing: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    """What of an object may be called, by name. Of its properties only those are read that are called as a loss."""
    for name in dir(thing):
        static = inspect.getattr_static(type(thing), name, None)
        if isinstance(static, (property, cached_property)):
            found = _given_by(static, thing) if plain(name) in HELD_LOSSES or is_loss(name) else None
        else:
            found = getattr(thing, name, None)
        if callable(found):
            yield name, found


def _given_by(of: property | cached_property[Any], thing: Any) -> Any:
    """What a property gives, which is not kept; None where the user's code in it raises, as before a fit."""
    function = of.fget if isinstance(of, property) else of.func
    if function is not None:
        with suppress(SubjectError), Running(type(thing).__name__, Patience()):
            return function(thing)
    return None


def method(thing: Any, names: Sequence[str]) -> Callable[..., Any] | None:
    """The first method of an object that goes by one of these names; one that matches as it is written comes first.

    A class that it keeps, as ``cost=QuadraticCost``, is none.
    """
    for name in names:
        if callable(found := _attribute(thing, name)):
            return found
    public = {_squeezed(name): name for name in dir(thing) if not name.startswith("__")}
    for name in map(_squeezed, names):
        if name in public and callable(found := _attribute(thing, public[name])):
            return found
    public = {_VERBS.sub("", short): name for short, name in public.items() if _VERBS.match(short)}
    for name in map(_squeezed, names):
        if name in public and callable(found := _attribute(thing, public[name])):
            return found
    return None


def _attribute(thing: Any, name: str) -> Any:
    """An attribute, or None: also of a dict whose keys are its attributes, and which raises KeyError for any other."""
    try:
        found = getattr(thing, name, None)
    except KeyError:
        return None
    return None if isinstance(found, type) else found


def derived(thing: Any, function: Any) -> Callable[..., Any] | None:
    """The method called as the derivative of this one, as ``costFunctionPrime`` of ``costFunction``; None if none is.

    That of ``hinge_loss`` may be ``hinge_gradient``. Of several gradients it may be the one not laid in a row.
    """
    name = getattr(function, "__name__", "")
    of = re.sub("_?(loss|cost)$", "_", plain(name))
    forms = [stem + ending for stem in (name, of) for ending in DERIVATIVES if stem.strip("_")]
    return method(thing, [*forms, *(f"{of}_{name}" for of in ("d", "grad", "gradient") if name.strip("_"))])


def passes(thing: Any) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
    """The forward and the backward pass of an object, by the usual names, else by two names that differ in that word.

    So ``model_forward`` goes with ``model_backward``, and ``_forward`` with ``_backward``, beside a ``predict``; of
    such pairs the shortest is meant. Or by the only two called as a function and its derivative; or the methods for a
    gradient each.
    """
    found = method(thing, FORWARDS), method(thing, BACKWARDS) or two_ways_back(thing)
    public = {_squeezed(name): name for name in dir(thing) if not name.startswith("__")}
    for name in sorted(public, key=len):
        for forward, backward in OPPOSITE:
            partner = name.replace(forward, backward)
            if forward in name and partner in public:
                pair = getattr(thing, public[name], None), getattr(thing, public[partner], None)
                if all(map(callable, pair)) and (None in found or pair[1] == found[1]):
                    return pair
    derived = [(name, name + ending) for name in public for ending in DERIVATIVES if name + ending in public]
    if len(derived) == 1 and found[0] is None:
        pair = getattr(thing, public[derived[0][0]], None), getattr(thing, public[derived[0][1]], None)
        return pair if all(map(callable, pair)) else found
    return found


def is_reset(name: str) -> bool:
    """Whether a function of this name sets gradients to nothing, as ``zeroGradParameters`` does."""
    return _RESET.fullmatch(_squeezed(name)) is not None


def has_passes(thing: Any) -> bool:
    """Whether an object has something that may be a backward pass or a loss."""
    return passes(thing)[1] is not None or method(thing, LOSSES) is not None


def kept(thing: Any, names: Sequence[str]) -> Any:
    """What an object keeps under the first of these names that it has. AttributeError if it has none of them."""
    own = {plain(name): name for name in getattr(thing, "__dict__", {})}
    found = next((own[name] for name in names if name in own), None)
    if found is None:
        raise AttributeError(f"{type(thing).__name__} returns nothing and has no {names[0]}")
    return getattr(thing, found)


def is_backward(name: str) -> bool:
    """Whether a name says that it is a backward pass, not a derivative."""
    return re.search("back|bprop|bwd|vjp", _squeezed(name)) is not None


def is_loss(name: str) -> bool:
    """Whether a function of this name is likely to compute a loss."""
    return _squeezed(name) in _SQUEEZED_LOSSES or _OF_A_LOSS.search(plain(name)) is not None


_OF_A_LOSS = re.compile(r"(^|_|log|bce)(loss|cost)(_with_\w+)?$|(^|_)(loss|cost|error|objective)_(fn|func|function)$")


def is_usual_loss(name: str) -> bool:
    """Whether it is that of a loss that has a name of its own, such as ``cross_entropy`` or ``mse``: no root of one."""
    return _USUAL_LOSS.search(plain(name)) is not None


_USUAL_LOSS = re.compile(r"(^|_)(cross_?entropy|mse|bce|(?<!root_)mean_squared_error|(?<!mean_)squared_error)$")


def _squeezed(name: Any) -> str:
    """The name in small letters without underscores, so that forwardPass is forward_pass."""
    return plain(name).replace("_", "")


_SQUEEZED_LOSSES = frozenset(map(_squeezed, LOSSES))

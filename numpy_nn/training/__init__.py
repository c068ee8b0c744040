"""Training: the loop over epochs, what is called at its steps, and what ends or resumes it."""

from numpy_nn.training.loop import (
    Callback,
    Epoch,
    GradientFunction,
    History,
    Metrics,
    Progress,
    SaveCheckpoint,
    compute_gradients,
    evaluate,
    fit,
    train_epoch,
    train_step,
)
from numpy_nn.training.callbacks import ClipGradNorm, MaxNorm, UpdateAverage
from numpy_nn.training.averaging import AveragedModel
from numpy_nn.training.accumulation import GradientAccumulation
from numpy_nn.training.adversarial import AdversarialTraining
from numpy_nn.training.divergence import Divergence
from numpy_nn.training.stopping import EarlyStopping
from numpy_nn.training.resume import SaveTrainingState, TrainingState

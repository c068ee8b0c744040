"""What a network learns from: batches, toy sets, MNIST, and distorted images."""

from numpy_nn.data.batches import DataLoader
from numpy_nn.data import datasets
from numpy_nn.data.mnist import MNIST, load_mnist, read_idx
from numpy_nn.data.mnist_family import load_data_set
from numpy_nn.data.augment import Distortion

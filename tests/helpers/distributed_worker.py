"""One of several processes: trains the cases of test_distributed.py, and rank 0 writes what came out to a folder."""

import json
import sys
from pathlib import Path

import exact_run
import mnist_worker
import numpy as np
import torch
import torch.distributed as dist

import numpy_nn as nn
from numpy_nn.losses import CrossEntropyLoss
from scripts.mnist import machines
from scripts.mnist.arguments import parse
from torch_ref import distributed


def gathered(value):
    """The value of every rank."""
    values = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def same(arrays):
    """Whether all ranks hold the same bits."""
    return len(set(gathered(tuple(array.tobytes() for array in arrays)))) == 1


def streams(group):
    """The next draws of dropout and of torch on each rank; where rank 0's generator stands must not have changed."""
    net = nn.Sequential(nn.Linear(4, 4, rng=0), nn.Dropout(0.5, rng=7), nn.BatchNorm1d(4))
    net[2].running_mean[...] = group.rank
    data = np.ones((8, 4), np.float32), np.zeros(8, np.int64)
    loader = distributed.ShardedLoader(nn.DataLoader(*data, 8, rng=0), group)
    distributed.AllReduce(net, CrossEntropyLoss(), loader)
    torch.manual_seed(5)
    own = torch.Generator()
    group.part_torch_streams([own])
    drawn = {"dropout": gathered(net[1].rng.random(4).tolist()), "torch": gathered(torch.rand(4).tolist())}
    drawn["own"] = gathered(torch.rand(4, generator=own).tolist())
    return drawn | {"running_mean": gathered(net[2].running_mean.tolist())}


def batch_norm(group):
    """Whether what a resume needs is the same on all ranks after an epoch with batch norm and dropout.

    That is: parameters, buffers, the optimizer's state, and where the order of the rows stands.
    """
    data = mnist_worker.images(150, np.float64)
    net = nn.MLP([784, 8, 10], batch_norm=True, dropout=0.3, rng=1, dtype=np.float64)
    loss, loader = CrossEntropyLoss(), nn.DataLoader(data.x_train, data.y_train, 32, rng=0)
    optimizer = nn.Adam(net.parameters())
    sharded = distributed.ShardedLoader(loader, group)
    nn.fit(net, loss, optimizer, sharded, 1, callbacks=[distributed.AllReduce(net, loss, sharded)])
    order = loader.rng.random(4)
    return same([net.parameters().data, *dict(net.named_buffers()).values(), *optimizer.state[0].values(), order])


def average(engine_name, process):
    """Whether the averaged network that is judged and saved is the same on all ranks, running statistics and all."""
    options = ["--engine", engine_name, "--hidden", "8", "--batch-norm", "--average", "0.9"]
    trainer, _ = mnist_worker.train(150, options, process)
    return same([np.asarray(array) for array in trainer.judged.state_dict().values()])


def job(launched):
    """Train every case."""
    folder, cases = Path(sys.argv[1]), json.loads(sys.argv[2])
    process = launched.join(parse(["--engine", "numpy"], ""))
    group = process.group
    results = {"streams": streams(group), "batch_norm": batch_norm(group)}
    exact = {"numpy": exact_run.numpys(group), "torch": exact_run.torchs(group)}
    results["exact"] = {engine: exact_run.is_exact(parameters) for engine, parameters in exact.items()}
    results["average"] = [average("numpy", process), average("torch", process)]
    for name, (rows, options) in cases.items():
        trainer, metrics = mnist_worker.train(rows, options, process)
        parameters = trainer.parameters()
        results[name] = {"metrics": metrics, "same": same(parameters.values())}
        if process.is_first:
            np.savez(folder / f"{name}.npz", **parameters)
    if process.is_first:
        (folder / "results.json").write_text(json.dumps(results))
    return 0


if __name__ == "__main__":
    machines.together(job)

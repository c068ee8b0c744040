"""Processes as torchrun starts them, but forked from one that has torch: to import it takes each of them seconds."""

import multiprocessing
import os
import runpy
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib
import torch.distributed as dist
from needs import HANGS
from torch.distributed import run

FORKED = multiprocessing.get_context("forkserver")
# torch imports the second of these, which takes as long as torch itself, as soon as there is an optimizer.
FORKED.set_forkserver_preload(["torch", "torch._dynamo", "matplotlib.pyplot", "torch_ref", "scripts.train_mnist"])


class Ranks:
    """So many processes that run a script with these arguments, and what they print, in files of the folder.

    As torchrun does, this process keeps the store through which they find each other, so that it outlives each of them.
    """

    def __init__(self, size, folder, script, *arguments, **environment):
        self.store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        shared = {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size, "OMP_NUM_THREADS": 1}
        shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": self.store.port}
        shared |= {"TORCHELASTIC_USE_AGENT_STORE": True, "TORCHELASTIC_RESTART_COUNT": 0}
        own = ({name: str(v) for name, v in (shared | {"RANK": k, "LOCAL_RANK": k}).items()} for k in range(size))
        self.start(folder, [script, *arguments], [one | environment for one in own])

    def start(self, folder, command, environments):
        """A process for each of the environments."""
        folder.mkdir(parents=True, exist_ok=True)
        self.files = folder / "printed", folder / "complained"
        told = [*map(str, command)]
        self.processes = [
            FORKED.Process(target=_become, args=(told, one, self.files), daemon=True) for one in environments
        ]
        for process in self.processes:
            process.start()

    def lines(self, count):
        """The first lines that are printed, as soon as there are so many."""
        while True:
            found = self.files[0].read_text().splitlines() if self.files[0].exists() else []
            if len(found) >= count:
                return found[:count]
            assert all(process.exitcode in (None, 0) for process in self.processes), self.files[1].read_text()
            time.sleep(0.01)

    def wait(self):
        """The exit status of each rank, and all that was printed on stdout and stderr."""
        for process in self.processes:
            process.join(HANGS)
            assert process.exitcode is not None, "still running"
        return [process.exitcode for process in self.processes], *(path.read_text() for path in self.files)


class Torchrun(Ranks):
    """torchrun itself, the one process, which starts so many that run the script."""

    def __init__(self, size, folder, script, *arguments, **environment):
        options = ["--standalone", "--nproc-per-node", size]
        self.start(folder, [run.__file__, *options, script, *arguments], [environment])


def finished(script, *arguments, cwd):
    """The exit status of one process that runs a script there, without a display, and what it printed."""
    with TemporaryDirectory() as folder:
        files = Path(folder, "printed"), Path(folder, "complained")
        told = [str(script), *map(str, arguments)]
        process = FORKED.Process(target=_become, args=(told, {"MPLBACKEND": "Agg"}, files, cwd), daemon=True)
        process.start()
        process.join(HANGS)
        assert process.exitcode is not None, "still running"
        return process.exitcode, *(path.read_text(encoding="utf-8") for path in files)


def ready():
    """Have the process that all are forked from, before anything is timed."""
    first = FORKED.Process(target=int)
    first.start()
    first.join()


class Forked:
    """As much of ``subprocess.Popen`` as scripts/kill_and_resume.py needs, for a command that begins with a Python."""

    def __init__(self, command, stdout=None):
        assert (command[0], stdout) == (sys.executable, subprocess.PIPE)
        self.folder = TemporaryDirectory()
        files = Path(self.folder.name, "printed"), Path(self.folder.name, "complained")
        self.process = FORKED.Process(target=_become, args=(list(map(str, command[1:])), {}, files), daemon=True)
        self.process.start()

    def poll(self):
        return self.process.exitcode

    returncode = property(poll)

    def kill(self):
        self.process.kill()

    def communicate(self):
        self.process.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.join()
        self.folder.cleanup()


def run_forked(command, stdout=subprocess.PIPE, check=True):
    """As much of ``subprocess.run``."""
    with Forked(command, stdout) as process:
        process.communicate()
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _become(command, environment, files, cwd=None):
    os.environ.update(environment)
    if "MPLBACKEND" in environment:  # which matplotlib has read already
        matplotlib.use(environment["MPLBACKEND"])
    if cwd is not None:
        os.chdir(cwd)
    for number, path in zip((1, 2), files, strict=True):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    sys.argv = command
    runpy.run_path(command[0], run_name="__main__")

"""What ``make`` sets up, and what it says when it cannot; with a Python that only notes what it is told to install."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import needs
import pytest

ROOT = Path(__file__).parents[2]

pytestmark = needs.posix

# Makes a .venv in which it stands itself, tells its version, and in place of installing does what install.sh says.
STUB = """#!/bin/sh
case "$1 $2" in
    "-m venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python && echo made >>made.txt ;;
    "-m pip") shift 4; echo "$*" >>pip.txt; . ./install.sh ;;
    -c*) echo "${STUB_VERSION:-3.12}" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path):
    """What the set-up reads, in a path with spaces, beside a Python that installs nothing."""
    folder = tmp_path / "a path with spaces"
    (folder / "scripts").mkdir(parents=True)
    for name in ("Makefile", "constraints.txt", "pyproject.toml", "setup.cfg", "scripts/setup_venv.sh"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "python").write_text(STUB, encoding="utf-8")
    (folder / "python").chmod(0o755)
    (folder / "install.sh").write_text(":\n", encoding="utf-8")
    return folder


def make(checkout, *arguments, **environment):
    """The finished ``make``, of the .venv alone."""
    clean = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "TORCH")}
    command = ["make", "--no-print-directory", ".venv/.ready", "PYTHON=./python", *arguments]
    return subprocess.run(command, cwd=checkout, env=clean | environment, capture_output=True, text=True, check=False)


def installed(checkout):
    """What pip was told since this was asked last, a line for each call."""
    notes = checkout / "pip.txt"
    lines = notes.read_text(encoding="utf-8").splitlines() if notes.exists() else []
    notes.unlink(missing_ok=True)
    return lines


def outdate(checkout):
    """Make .venv older than what it is made from."""
    hour_ago = time.time() - 3600
    os.utime(checkout / ".venv" / ".ready", (hour_ago, hour_ago))


def times_made(checkout):
    return (checkout / "made.txt").read_text(encoding="utf-8").count("made")


def well(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def complaint(done):
    """The one line with which the set-up ends; make adds one of its own."""
    assert done.returncode == 2
    line, made = done.stderr.splitlines()
    assert made.startswith("make: *** ")
    assert line.startswith("setup: ")
    return line


def pinned(name):
    (version,) = re.findall(rf"^{name}==(.*)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    return version


def test_it_is_set_up_once(checkout):
    assert "some 6 GB" in well(make(checkout))
    (line,) = installed(checkout)
    assert line.endswith("--constraint constraints.txt --editable .[torch,scripts,test,dev]")
    assert sorted(os.listdir(checkout / ".venv")) == [".ready", "bin"]
    assert not (checkout / "setup.log").exists()
    assert "up to date" in well(make(checkout))
    assert installed(checkout) == []


def test_numpy_alone_stays_so_until_torch_is_asked_for(checkout):
    assert "some 0.4 GB" in well(make(checkout, "TORCH=none"))
    assert installed(checkout)[0].endswith("--editable .[scripts,test,dev]")
    for arguments in ([], ["TORCH=none"]):
        well(make(checkout, *arguments))
        assert installed(checkout) == []
    outdate(checkout)
    well(make(checkout))
    assert installed(checkout)[0].endswith("--editable .[scripts,test,dev]")
    well(make(checkout, "TORCH=default"))
    gone, added = installed(checkout)
    assert gone.endswith("uninstall --yes torchvision")  # one that would not load beside the torch that comes
    assert added.endswith("--editable .[torch,scripts,test,dev]")
    assert times_made(checkout) == 1


def test_torch_for_the_cpu_stays_so(checkout):
    wanted = [f"torch=={pinned('torch')}+cpu", f"torchvision=={pinned('torchvision')}+cpu"]
    well(make(checkout, "TORCH=cpu"))
    assert [line.split()[-1] for line in installed(checkout)] == wanted
    for arguments in ([], ["TORCH=cpu"], ["TORCH=none"]):
        well(make(checkout, *arguments))
        assert installed(checkout) == []
    # What has torch keeps it, whatever is brought up to date.
    for arguments in ([], ["TORCH=none"]):
        outdate(checkout)
        well(make(checkout, *arguments))
        assert [line.split()[-1] for line in installed(checkout)] == wanted


def test_on_macos_torch_is_for_the_cpu_as_it_is(checkout, tmp_path):
    (tmp_path / "uname").write_text("#!/bin/sh\necho Darwin\n", encoding="utf-8")
    (tmp_path / "uname").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    well(make(checkout, "TORCH=cpu", PATH=path))
    assert installed(checkout)[0].endswith("--editable .[torch,scripts,test,dev]")
    well(make(checkout, "TORCH=cpu", PATH=path))
    assert installed(checkout) == []


def test_another_version_of_torch_comes_without_the_pins_of_this_one(checkout):
    well(make(checkout, "TORCH=2.13.0+cpu"))
    (line,) = installed(checkout)
    assert line.endswith("--constraint .venv/constraints.txt --editable .[scripts,test,dev] torch==2.13.0+cpu")
    before = (checkout / "constraints.txt").read_text(encoding="utf-8").splitlines()
    after = (checkout / ".venv" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    gone = {line.partition("==")[0] for line in set(before) - set(after)}
    assert gone >= {"torch", "torchvision", "triton", "nvidia-cublas", "cuda-toolkit"}
    assert all(name.startswith(("torch", "triton", "nvidia-", "cuda-")) for name in gone)
    assert f"numpy=={pinned('numpy')}" in after


def test_without_a_torchvision_for_the_cpu_it_is_left_out(checkout):
    (checkout / "install.sh").write_text('case "$*" in *torchvision*) exit 1 ;; esac\n', encoding="utf-8")
    assert "torchvision is left out, pip's index has no " in well(make(checkout, "TORCH=cpu"))
    assert (checkout / ".venv" / ".ready").read_text(encoding="utf-8") == "cpu\n"


@pytest.mark.slow
@pytest.mark.parametrize("signal", ["INT", "KILL"])
@pytest.mark.parametrize("update", [False, True], ids=["the first", "an update"])
def test_what_was_interrupted_is_made_anew(checkout, update, signal):
    if update:
        well(make(checkout))
        outdate(checkout)
    (checkout / "install.sh").write_text(f"touch .venv/half; kill -{signal} $PPID; sleep 1; exit 1\n", encoding="utf-8")
    done = make(checkout)
    assert done.returncode != 0
    if signal == "INT":
        assert "setup: interrupted; the next make begins anew\n" in done.stderr
    (checkout / "install.sh").write_text(":\n", encoding="utf-8")
    well(make(checkout))
    assert times_made(checkout) == 2
    assert not (checkout / ".venv" / "half").exists()


def test_an_update_that_fails_leaves_what_was_there(checkout):
    well(make(checkout))
    outdate(checkout)
    (checkout / "install.sh").write_text("echo 'ERROR: no'; exit 1\n", encoding="utf-8")
    assert "its last error: ERROR: no" in complaint(make(checkout))
    (checkout / "install.sh").write_text(":\n", encoding="utf-8")
    well(make(checkout))
    assert times_made(checkout) == 1


def test_a_venv_made_by_hand_is_completed(checkout):
    subprocess.run(["./python", "-m", "venv", ".venv"], cwd=checkout, check=True)
    (checkout / ".venv" / "mine").touch()
    well(make(checkout))
    assert (checkout / ".venv" / "mine").exists()
    assert times_made(checkout) == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "WARNING: Retrying ... NewConnectionError('<...>: Failed to establish a new connection')\n"
            "ERROR: No matching distribution found for torch==2.15.0+cpu",
            "pip cannot reach its package index",
        ),
        (
            "ERROR: Could not find a version that satisfies the requirement torch==9.9+cpu (from versions: 2.15.0)\n"
            "ERROR: No matching distribution found for torch==9.9+cpu",
            "pip's index has no torch==9.9+cpu; name one that has, as in: make demo TORCH=cpu PIP_EXTRA_INDEX_URL=",
        ),
        (
            "ERROR: Cannot install torch==9.9+cpu because these package versions have conflicting dependencies.\n"
            "    The user requested torch==9.9+cpu\n    The user requested (constraint) torch==2.15.0\n"
            "ERROR: ResolutionImpossible: for help visit ...",
            "pip's index has no torch==9.9+cpu; name one that has, as in: make demo TORCH=cpu PIP_EXTRA_INDEX_URL=",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            r"the disk is full (\d+ MB left in .*, \d+ MB in .*, where pip needs room too",
        ),
        ("ERROR: one\nERROR: two\nand then", "see setup.log; its last error: ERROR: two"),
        ("Killed", "see setup.log; its last error: Killed"),
    ],
    ids=["offline", "no such wheel", "no such wheel, in other words", "disk full", "another error", "no error at all"],
)
def test_why_the_installation_failed_is_one_line(checkout, said, told):
    (checkout / "said.txt").write_text(f"{said}\n", encoding="utf-8")
    (checkout / "install.sh").write_text("cat said.txt; exit 1\n", encoding="utf-8")
    line = complaint(make(checkout, "TORCH=9.9+cpu"))
    assert line.startswith("setup: the installation failed")
    assert re.search(told.replace("(", r"\("), line) if "\\d" in told else told in line


def test_a_full_disk_for_temporary_files_is_told_although_nobody_names_it(checkout):
    # What makes a venv says no more than that a process of its own failed.
    (checkout / "install.sh").write_text("echo 'Error: Command returned non-zero exit status 1.'; exit 1\n")
    disk = '#!/bin/sh\n[ "$2" = . ] && free=9999999 || free=9999\nprintf \'%s\\n\' head "disk 1 1 $free"\n'
    (checkout / "df").write_text(disk, encoding="utf-8")
    (checkout / "df").chmod(0o755)
    line = complaint(make(checkout, PATH=f"{checkout}:{os.environ['PATH']}", TMPDIR="/some/where"))
    assert line.endswith(
        f"the disk is full (9765 MB left in {checkout}, 9 MB in /some/where, where pip needs room too)"
    )


def test_a_python_that_is_too_old_is_one_line(checkout):
    line = complaint(make(checkout, STUB_VERSION="3.10"))
    remedy = "install it, or name another, as in: make test PYTHON=python3.12"
    assert line == f"setup: expected Python 3.11 or newer, ./python is 3.10; {remedy}"
    assert not (checkout / ".venv").exists()


def test_no_python_at_all_is_one_line(checkout):
    (checkout / "python").unlink()
    assert "setup: expected Python 3.11 or newer, ./python is none that runs; install it" in complaint(make(checkout))


def test_a_venv_whose_python_is_gone_is_one_line(checkout):
    well(make(checkout))
    (checkout / ".venv" / "bin" / "python").unlink()
    outdate(checkout)
    line = complaint(make(checkout))
    assert line.endswith(".venv/bin/python is none that runs; remove .venv, and it is made anew")


def test_a_folder_that_cannot_be_written_to_is_one_line(checkout):
    # The superuser may write anywhere, but not to where there is nothing.
    (checkout / "setup.log").symlink_to("nowhere/setup.log")
    assert complaint(make(checkout)).startswith(f"setup: cannot write to {checkout}, where .venv goes; ")

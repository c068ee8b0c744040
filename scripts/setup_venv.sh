#!/bin/sh
# Makes .venv, with the packages of both engines, the scripts and the tests as constraints.txt pins them.
# PYTHON names the Python to make it with. .venv/.ready is written last: a .venv that has it is only brought
# up to date, one without it is unfinished and is made anew.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
log=setup.log

fail() {
    echo "setup: $1" >&2
    exit 1
}

if [ ! -e .venv/.ready ]; then
    version=$("$PYTHON" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) ||
        fail "cannot run $PYTHON; install Python 3.11 or newer, or name one, as in: make test PYTHON=python3.12"
    case $version in
        3.1[1-9] | 3.[2-9][0-9]) ;;
        *) fail "$PYTHON is Python $version; 3.11 or newer is needed, name one, as in: make test PYTHON=python3.12" ;;
    esac
    rm -rf .venv
    "$PYTHON" -m venv .venv >"$log" 2>&1 ||
        fail "$PYTHON cannot make a venv; on Debian and Ubuntu install python3-venv, elsewhere see $log"
fi

echo "Installing NumPy, PyTorch and the tools into .venv: some minutes, some 6 GB (what pip says is in $log)"
.venv/bin/python -m pip install --no-input --disable-pip-version-check \
    --constraint constraints.txt --editable '.[torch,scripts,test,dev]' >"$log" 2>&1 </dev/null ||
    fail "the installation failed, see $log; its last error: $(grep -i error "$log" | tail -n 1)"
touch .venv/.ready
rm "$log"

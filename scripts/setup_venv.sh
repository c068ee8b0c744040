#!/bin/sh
# Makes .venv, with the packages of both engines, the scripts and the tests as constraints.txt pins them.
#
# PYTHON names the Python to make it with. TORCH says which torch: "default" is what pip takes, on Linux with CUDA's
# libraries; "cpu" the same version without them; a version such as 2.13.0+cpu that one; "none" none, but one that is
# there stays. Without TORCH it is as it was the last time.
#
# .venv/.ready is written last and holds that word. While .venv/.unfinished is there, packages may be half installed:
# a .venv in which an interrupted set-up left it is made anew. One that has neither was made by hand, and is completed.
set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
log=setup.log

fail() {
    echo "setup: $1" >&2
    exit 1
}

megabytes_left() {
    df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }'
}

# Ends with the reason why a command failed that wrote to the log; $1 says what it was to do.
fail_with_log() {
    temporary=${TMPDIR:-/tmp}
    left=$(megabytes_left .) left_there=$(megabytes_left "$temporary")
    if [ "$left" -lt 32 ] || [ "${left_there:-32}" -lt 32 ] || grep -q 'No space left on device' "$log"; then
        fail "$1: the disk is full ($left MB left in $PWD, ${left_there:-no} MB in $temporary, where pip needs room too)"
    elif grep -qE 'NewConnectionError|ConnectTimeout|NameResolutionError|ProxyError' "$log"; then
        fail "$1: pip cannot reach its package index, see $log; what is installed already needs no network"
    elif wanted=$(grep -oE '(No matching distribution found for|The user requested) torch==[^ ]*' "$log" | grep -oE 'torch==.*'); then
        fail "$1: pip's index has no $wanted; name one that has, as in: make demo TORCH=cpu PIP_EXTRA_INDEX_URL=ADDRESS"
    fi
    fail "$1, see $log; its last error: $(grep -i error "$log" | tail -n 1 | grep . || tail -n 1 "$log")"
}

trap 'fail "interrupted; the next make begins anew"' INT TERM

pip() {
    .venv/bin/python -m pip --no-input --disable-pip-version-check "$@" >"$log" 2>&1 </dev/null
}

pinned() {
    sed -n "s/^$1==//p" constraints.txt
}

touch "$log" 2>/dev/null || fail "cannot write to $PWD, where .venv goes; work in a copy that you can write to"

before=$(cat .venv/.ready 2>/dev/null) || before=
choice=${TORCH:-${before:-default}}
if [ "$choice" = none ] && [ -e .venv/.ready ]; then choice=${before:-default}; fi
# On macOS no build of torch has CUDA's libraries, and none is called +cpu.
build=$choice
if [ "$choice" = cpu ] && [ "$(uname -s)" = Darwin ]; then build=default; fi

if [ -e .venv/.unfinished ]; then rm -rf .venv; fi
if [ -e .venv ]; then
    python=.venv/bin/python remedy='remove .venv, and it is made anew'
else
    python=$PYTHON remedy='install it, or name another, as in: make test PYTHON=python3.12'
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || version='none that runs'
case $version in
    3.1[1-9] | 3.[2-9][0-9]) ;;
    *) fail "expected Python 3.11 or newer, $python is $version; $remedy" ;;
esac
if [ ! -e .venv ]; then
    mkdir .venv
    touch .venv/.unfinished
    "$PYTHON" -m venv .venv >"$log" 2>&1 ||
        fail_with_log "$PYTHON cannot make a venv (Debian and Ubuntu have it in python3-venv)"
fi

extras=scripts,test,dev
constraints=constraints.txt
set --
case $build in
    none) size='some 0.4 GB' ;;
    default) size='some 6 GB on Linux' extras=torch,$extras ;;
    cpu)
        size='some 1.3 GB'
        set -- "torch==$(pinned torch)+cpu"
        ;;
    *)
        size='1 GB or more' constraints=.venv/constraints.txt
        set -- "torch==$choice"
        # The pins of another torch, and of what came with it, do not hold.
        grep -vE '^(torch|torchvision|triton|nvidia-.*|cuda-.*)==' constraints.txt >"$constraints"
        ;;
esac

echo "Installing into .venv, with torch: $choice: some minutes, $size (what pip says is in $log)"
if [ -e .venv/.ready ]; then touch .venv/.unfinished; fi
# A torchvision does not load beside another torch than its own.
if [ -e .venv/.ready ] && [ "$choice" != "$before" ]; then pip uninstall --yes torchvision || true; fi
if ! pip install --constraint "$constraints" --editable ".[$extras]" "$@"; then
    # What was whole before is so again: pip takes back what it could not finish.
    if [ -e .venv/.ready ]; then rm .venv/.unfinished; fi
    fail_with_log "the installation failed"
fi
if [ "$build" = cpu ] && ! pip install --constraint "$constraints" "torchvision==$(pinned torchvision)+cpu"; then
    echo "torchvision is left out, pip's index has no $(pinned torchvision)+cpu: only --loader plain needs it"
fi
echo "$choice" >.venv/.ready
rm -f .venv/.unfinished "$log"

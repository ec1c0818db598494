#!/usr/bin/env bash
# The front door: ./launch.sh help says what it does.
#
# The environment is .venv beside this file. .venv/.installed holds the text of everything that
# decides what is in it, so a start with nothing to do compares two strings and goes on.
# PYTHON=/path/to/python3 names the interpreter of a new .venv.
set -euo pipefail
export VAE_COMMAND=${VAE_COMMAND:-$0} # what hints call the program

root=$(cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" >/dev/null && pwd -P)
venv=$root/.venv
python=$venv/bin/python

usage() {
  cat <<'USAGE'
usage: ./launch.sh              set up, then the quick start: a small sweep, trained and reported
       ./launch.sh setup        make .venv beside launch.sh and install the requirements
       ./launch.sh test         set up with the test tools, then ruff, mypy and pytest
       ./launch.sh test ...     the same for a part: ruff, and pytest with these arguments
       ./launch.sh docs         set up with the site's tools, then build the site into site/
       ./launch.sh VERB ...     set up, then python -m vae VERB ...
       ./launch.sh help         this text, and the verbs once set up
USAGE
}

fail() {
  printf 'launch.sh: %s\n' "$1" >&2
  exit 1
}

has_nvidia_driver() {
  # nvidia-smi is slow, and only needed where a driver leaves no trace under /proc (WSL).
  [[ -e /proc/driver/nvidia/version ]] ||
    { command -v nvidia-smi && nvidia-smi -L; } >/dev/null 2>&1
}

find_python() {
  local name
  set -- python3 python3.13 python3.12 python3.11
  [[ -z ${PYTHON:-} ]] || set -- "$PYTHON"
  for name; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
      echo "$name"
      return
    fi
  done
  return 1
}

is_installed() { # a .venv with more also serves who asked for less: '' < '[docs]' < '[dev]'
  local found
  [[ -x $python && -f $venv/.installed ]] || return 1
  found=$(<"$venv/.installed")
  [[ $found == "$wanted"*"$1" || ($1 == '[docs]' && $found == "$wanted[dev]") ]]
}

make_venv() {
  local base
  if ! base=$(find_python); then
    if [[ -n ${PYTHON:-} ]] || ! command -v uv >/dev/null; then
      fail "${PYTHON:-python3} is not Python 3.11 or newer: install one, or set PYTHON=/path/to/python3."
    fi
    base='>=3.11' # uv fetches one
  fi
  if command -v uv >/dev/null; then
    uv venv --quiet --seed --allow-existing --python "$base" "$venv" || fail "uv cannot make $venv."
  else
    "$base" -m venv "$venv" >&2 ||
      fail "$base cannot make $venv; on Debian and Ubuntu install python3-venv, or install uv."
  fi
}

install() { # jax, extras; in $root, where ".[dev]" names this project whatever the path
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$python" -r requirements.txt "$1" -e ".$2"
  else
    "$python" -m pip install --disable-pip-version-check --quiet -r requirements.txt "$1" -e ".$2"
  fi
}

quietly() { # a command: what it prints goes to $venv.log, and a line a minute says that it goes on
  local beat code=0
  {
    exec 9>&- # the lock is not this one's
    for ((minutes = 1; ; minutes++)); do
      sleep 60 >/dev/null 2>&1 # what outlives this by a minute holds no pipe
      kill -0 $$ 2>/dev/null || exit
      echo "launch.sh: still installing ($minutes min)" >&2
    done
  } &
  beat=$!
  # shellcheck disable=SC2064  # this one's number
  trap "kill $beat 2>/dev/null || true" EXIT
  "$@" >"$venv.log" 2>&1 || code=$?
  kill "$beat" 2>/dev/null || true
  trap - EXIT
  return "$code"
}

set_up() { # extras: '', '[docs]' or '[dev]'
  local extras=$1 jax=jax wanted
  cd -- "$root"
  if has_nvidia_driver; then jax='jax[cuda13]'; fi
  wanted="$root $jax
$(<requirements.txt)
$(<pyproject.toml)
$(<setup.py)
extras: "
  is_installed "$extras" && return

  # One at a time; the lock is the open file's, so it goes with the last process that holds it.
  { exec 9>"$venv.lock"; } 2>/dev/null || fail "cannot write in $root: copy the project to a folder of yours."
  if ! flock --nonblock 9; then
    echo "launch.sh: waiting for another launch.sh that is installing" >&2
    flock 9
  fi
  is_installed "$extras" && return

  # An install that was cut short leaves .installing behind: nothing in it can be trusted.
  if [[ -e $venv/.installing || ! -x $python ]]; then rm -rf -- "$venv"; fi
  mkdir -p -- "$venv" && : >"$venv/.installing" && rm -f -- "$venv/.installed"
  echo "launch.sh: installing $jax and the rest into $venv (minutes, the first time)" >&2
  [[ -x $python ]] || make_venv
  if ! quietly install "$jax" "$extras"; then
    tail -n 20 -- "$venv.log" >&2
    fail "the installation failed, see above; it needs PyPI or a mirror of it. Then: ./launch.sh setup"
  fi
  printf '%s' "$wanted$extras" >"$venv/.installing"
  mv -- "$venv/.installing" "$venv/.installed"
}

case ${1-} in
  help | -h | --help)
    usage
    [[ ! -f $venv/.installed ]] || exec "$python" -P -m vae --help
    ;;
  setup)
    [[ $# -eq 1 ]] || fail "setup takes no arguments."
    (set_up '')
    echo "launch.sh: ready in $venv"
    ;;
  test)
    (set_up '[dev]')
    cd -- "$root"
    "$python" -m ruff check .
    [[ $# -gt 1 ]] || "$python" -m mypy
    exec "$python" -m pytest -q --numprocesses auto --maxprocesses 8 --dist loadfile "${@:2}"
    ;;
  docs)
    [[ $# -eq 1 ]] || fail "docs takes no arguments."
    (set_up '[docs]')
    cd -- "$root"
    NO_MKDOCS_2_WARNING=1 "$python" -m mkdocs build --quiet --strict
    echo "launch.sh: built $root/site/index.html"
    ;;
  '')
    (set_up '')
    cd -- "$root"
    exec "$python" -P -m vae quickstart
    ;;
  *)
    (set_up '')
    exec "$python" -P -m vae "$@"
    ;;
esac

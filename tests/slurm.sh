#!/usr/bin/env bash
# A real Slurm of one node, for the tests: tests/slurm.sh start|stop|status
#
# `start` prints the path of its slurm.conf (what SLURM_CONF is to be), or one line with the reason
# why there is none, and fails. It needs root; Debian's packages are installed where they are
# missing. Keys, ports, state and logs are its own, in one folder: a Slurm or a munge that the
# machine has already is left alone.
set -euo pipefail

folder=${TMPDIR:-/tmp}/vae-slurm
conf=$folder/slurm.conf
socket=$folder/munge.socket
export SLURM_CONF=$conf
PATH=$PATH:/usr/sbin:/sbin

fail() {
  printf 'slurm.sh: %s\n' "$1" >&2
  exit 1
}

alive() { # a daemon, by its pid file; its folder in the command line, since pids are used again
  local pid
  pid=$(cat "$folder/$1.pid" 2>/dev/null) && grep -qsF "$folder" "/proc/$pid/cmdline"
}

answers() { # the node is up and takes jobs
  alive slurmctld && [[ $(timeout 10 sinfo --noheader --format=%t 2>/dev/null) =~ ^(idle|mix|alloc)$ ]]
}

install() {
  local tool missing=
  for tool in slurmctld slurmd munged sbatch srun; do
    command -v "$tool" >/dev/null || missing=$tool
  done
  [[ -n $missing ]] || return 0
  command -v apt-get >/dev/null || fail "no $missing, and no apt-get to install it with"
  mkdir -p "$folder"
  for tool in update 'install --yes --no-install-recommends slurm-wlm munge'; do
    # shellcheck disable=SC2086  # the words are arguments
    DEBIAN_FRONTEND=noninteractive timeout --kill-after=10 200 \
      apt-get --quiet -o DPkg::Lock::Timeout=60 -o Acquire::Retries=1 -o Acquire::http::Timeout=20 $tool \
      </dev/null >>"$folder/apt.log" 2>&1 || fail "apt-get $tool failed, see $folder/apt.log"
  done
}

configure() {
  # Two CPUs at the least, whatever the machine has: tests run two tasks at once.
  local cpus
  cpus=$(nproc)
  ((cpus >= 2)) || cpus=2
  cat >"$conf" <<CONF
ClusterName=vae-tests
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A requeued job waits for its old credential to expire: two minutes unless told otherwise.
AuthInfo=socket=$socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
ReturnToService=2
JobRequeue=1
KillWait=30
MinJobAge=60
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=2,sched_interval=2,sched_min_interval=100000,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$cpus State=UNKNOWN
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
}

start() {
  if answers; then
    echo "$conf"
    return
  fi
  [[ $EUID -eq 0 ]] || fail "a Slurm of its own needs root"
  install
  stop
  mkdir -p "$folder"/{state,spool}
  chmod 755 "$folder"
  configure
  (umask 077 && head -c 1024 /dev/urandom >"$folder/munge.key")
  # Detached, with no file of the caller's open: whoever reads our output sees its end.
  setsid munged --force --socket="$socket" --key-file="$folder/munge.key" \
    --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
    --seed-file="$folder/munge.seed" </dev/null >"$folder/start.log" 2>&1 ||
    fail "munged does not start, see $folder/start.log"
  setsid slurmctld -c -f "$conf" </dev/null >>"$folder/start.log" 2>&1 ||
    fail "slurmctld does not start, see $folder/start.log and slurmctld.log beside it"
  start_slurmd || fail "the node does not come up, see start.log and slurmd.log in $folder"
  echo "$conf"
}

start_slurmd() {
  # Nothing here uses cgroups, but slurmd may insist on some: which ones it can have, or do without,
  # depends on its version and on the container.
  local plugin _
  for plugin in autodetect disabled cgroup/v1; do
    echo "CgroupPlugin=$plugin" >"$folder/cgroup.conf"
    setsid slurmd -N localhost -f "$conf" </dev/null >>"$folder/start.log" 2>&1 || continue
    for _ in {1..60}; do
      sleep 0.5
      alive slurmd || break
      ! answers || return 0
    done
  done
  return 1
}

stop() { # cancels what runs, then ends the daemons
  local name _
  if alive slurmctld; then
    timeout 10 scancel --user=root >/dev/null 2>&1 || true
    for _ in {1..70}; do # what runs may save first; the daemons gone, nobody would end it
      [[ -n $(timeout 10 squeue --noheader 2>/dev/null) ]] || break
      sleep 0.5
    done
    timeout 10 scontrol shutdown >/dev/null 2>&1 || true
  fi
  for _ in {1..40}; do
    alive slurmctld || alive slurmd || break
    sleep 0.25
  done
  for name in slurmctld slurmd munged; do
    ! alive "$name" || kill "$(cat "$folder/$name.pid")" || true
  done
  rm -f "$conf" # the tests look for it
}

case ${1-} in
  start) start ;;
  stop) stop ;;
  status) if answers; then echo "$conf"; else fail "no Slurm is running in $folder"; fi ;;
  *) fail "usage: tests/slurm.sh start|stop|status" ;;
esac

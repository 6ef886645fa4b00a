#!/bin/bash
# Runs one attempt of a task on an instance of the fleet, or ends one, and proves that nothing of it is left. It is all that Baton's own
# SSM document holds. SSM's agent starts it as root and hands the parameters of the command over as variables, so no line of shell
# is ever written from them:
#
#   SSM_action           run: starts the attempt, waits for its end, exits with its code
#                        end: stops the attempt if it is here, and exits with 0 when nothing of it is left
#   SSM_taskId, SSM_attempt, SSM_payload     whose run it is, and the reference of its payload
#   AWS_SSM_INSTANCE_ID  this host; SSM's agent sets it
#
# A host works for one attempt at a time, and for each attempt once: a command that comes again waits for the first and tells the same.
# A cancelled command and an execution time-out kill this script without a word, never the container: a guard in a session of its own
# ends it then.
#
# In BATON_HOST_DIR:
#   image, container.env   what runs here, and the variables of the deployment for it; written at boot
#   region                 of this instance; written at boot. Without it there is no role to hand on, and there are no tags
#   lock, holder           held from before the first look until the proof, and whose run holds it
#   run/                   workspace of the run; empty between two
#   credentials/           of the role of this instance, for the runner; only while a run lasts
#   ended/                 one file per attempt that must not start here any more, with its exit code
set -euo pipefail
export LC_ALL=C

# Something of a run is left, or nobody can tell.
readonly EXIT_UNPROVEN=90
# Somebody ended the attempt before it began here.
readonly EXIT_OVER=92
# A parameter is not as it must be: nothing was started.
readonly EXIT_REFUSED=93
# The host or its image is not usable: nothing was started, and nothing is left.
readonly EXIT_NOT_STARTED=94
# SIGKILL ended the run, or nobody saw its end. As the codes of signals are it is above 128; no signal has it.
readonly EXIT_KILLED=209
# Of a script that exits with this code SSM's agent says that its time was over, or that it was cancelled (amazon-ssm-agent, GetStatus).
readonly EXIT_SIGKILL=137
# SSM's agent takes this code for the wish to reboot, and then runs the command again.
readonly EXIT_REBOOT=194
# From SIGTERM to SIGKILL of a run, in seconds: what every back end leaves.
readonly STOP_TIMEOUT_S="${BATON_STOP_TIMEOUT_S:-30}"
# Beyond that, the daemon has this long to end a container, in seconds: it is under load from the very run that ends.
readonly END_MARGIN_S="${BATON_END_MARGIN_S:-30}"
# So long a run that is to end may take altogether, in seconds; each look takes what the daemon takes to answer.
readonly END_S=$((STOP_TIMEOUT_S + END_MARGIN_S))
# A guard is one shell; one that does not come up in this many seconds never will.
readonly GUARD_START_S=10
# The metadata service is on the machine itself: a call of it that takes this many seconds is lost.
readonly METADATA_S=5
# Its token is for the calls of one look, in seconds.
readonly METADATA_TOKEN_S=60
# Between two looks for newer credentials, in seconds: those are there at least 300 before the old ones expire (EC2 user guide, Retrieve
# security credentials from instance metadata), which leaves several looks.
readonly CREDENTIALS_EVERY_S="${BATON_CREDENTIALS_EVERY_S:-60}"
# A change of tags is answered within a second or two; a run does not wait longer than this many for it.
readonly TAGS_S="${BATON_TAGS_S:-10}"
# After this many days no command of an attempt is under way any more: SSM expires them within days.
readonly ENDED_KEPT_D=7
# Processes of one run: far more than builds need, far fewer than the host has numbers for.
readonly PIDS_MAX=8192
# When memory runs out, the run goes before SSM's agent and the daemon do.
readonly OOM_SCORE=500

readonly DIR="${BATON_HOST_DIR:-/var/lib/baton}"
# Another address in tests.
readonly METADATA="${BATON_METADATA_URL:-http://169.254.169.254/latest}"
readonly LABEL=baton.run
# Where the runner works in its container, and where its credentials are.
readonly INSIDE=/tmp/baton
readonly CREDENTIALS_INSIDE=/run/baton-credentials

main() {
  check_parameters
  readonly RUN="$TASK_ID/$ATTEMPT"
  readonly NAME="baton-$TASK_ID-$ATTEMPT"
  readonly ENDED="$DIR/ended/$NAME"
  if [[ ${1:-} == guard ]]; then guard; fi
  mkdir -p "$DIR/ended" || unusable "$DIR cannot be written"
  exec 9>>"$DIR/lock"
  case "$ACTION" in
    run) run_attempt ;;
    end) end_attempt ;;
  esac
}

# The document's own patterns, once more: whoever may write another document may still not start anything else here.
check_parameters() {
  ACTION=${SSM_action:-} TASK_ID=${SSM_taskId:-} ATTEMPT=${SSM_attempt:-} PAYLOAD=${SSM_payload:-}
  INSTANCE_ID=${AWS_SSM_INSTANCE_ID:-}
  [[ $ACTION =~ ^(run|end)$ ]] || refuse action
  [[ $TASK_ID =~ ^t[0-9a-hjkmnp-tv-z]{24}$ ]] || refuse taskId
  [[ $ATTEMPT =~ ^[1-9][0-9]{0,5}$ ]] || refuse attempt
  [[ $PAYLOAD =~ ^(-|t[0-9a-hjkmnp-tv-z]{24}\.[A-Za-z0-9_-]{43})$ ]] || refuse payload
  [[ $ACTION == end || $PAYLOAD != - ]] || refuse payload
  [[ $INSTANCE_ID =~ ^m?i-[0-9a-f]{8,32}$ ]] || refuse 'instance id'
  readonly ACTION TASK_ID ATTEMPT PAYLOAD INSTANCE_ID
}

run_attempt() {
  lock_for_run
  # Also before the code of an earlier try is told: it says that nothing is left, and that try may have ended without a proof.
  clear_host || unproven 'what an earlier run left cannot be removed'
  # It began here, and its end was not seen, as when the machine restarts: it does not begin once more.
  if [[ -n $BEGUN && ! -e $ENDED ]]; then
    note "$EXIT_KILLED"
    tell_again
  fi
  if [[ -e $ENDED ]]; then tell_again; fi
  trap finish EXIT
  # The trap on EXIT does the work.
  trap 'exit 143' TERM INT HUP
  offer_credentials
  start_guard
  start_container
  tag busy "$TASK_ID"
  docker wait "$NAME" >"$DIR/code" &
  # Without its code it is as good as killed.
  wait "$!" || exit "$EXIT_KILLED"
  exit "$(code_in "$DIR/code")"
}

# Whoever holds the lock for another attempt works for a task that has this host no more, so it is killed. The same attempt is
# waited for, as long as it takes.
lock_for_run() {
  local until_s=$((SECONDS + END_S)) left
  BEGUN=''
  until flock --wait 1 9; do
    if [[ $(holder) == "$RUN" ]]; then
      until_s=$((SECONDS + END_S))
      continue
    fi
    # A command that comes when its own attempt is over here ends nobody else's.
    if [[ -e $ENDED ]] && left=$(containers "$LABEL=$RUN") && [[ -z $left ]]; then tell_again; fi
    kill_others
    ((SECONDS < until_s)) || unproven 'another run keeps the lock'
  done
  if [[ $(holder) == "$RUN" ]]; then BEGUN=yes; fi
  hold || unusable "$DIR cannot be written"
}

tell_again() {
  say "$RUN ran here before, and nothing of $RUN is left"
  exit "$(code_in "$ENDED")"
}

# First nobody may start it any more, then the look: `run` first says that it holds the lock, and then looks whether it may start.
end_attempt() {
  local until_s=$((SECONDS + END_S)) left
  # Where the run has filled the disk, this succeeds when that is wiped.
  forbid || true
  until flock --wait 1 9; do
    if forbid && [[ $(holder) != "$RUN" ]] && left=$(containers "$LABEL=$RUN") && [[ -z $left ]]; then
      say "nothing of $RUN is left; another run works here"
      exit 0
    fi
    stop_container
    ((SECONDS < until_s)) || unproven "$RUN does not end"
  done
  clear_host || unproven "$RUN does not end"
  forbid || unproven "$RUN may begin again"
  say "nothing of $RUN is left"
  tag idle ''
}

start_container() {
  [[ -s $DIR/image ]] || unusable 'the host has no image'
  local image given=(--volume "$DIR/run:$INSIDE")
  image=$(<"$DIR/image")
  export BATON_TASK_ID="$TASK_ID" BATON_ATTEMPT="$ATTEMPT" BATON_PAYLOAD="$PAYLOAD"
  export BATON_NATIVE_ID="$INSTANCE_ID/$RUN" BATON_STOP_TIMEOUT_S="$STOP_TIMEOUT_S" BATON_RUN_DIR="$INSIDE"
  if [[ -n $CREDENTIALS ]]; then
    export BATON_CREDENTIALS_FILE="$CREDENTIALS_INSIDE${CREDENTIALS#"$DIR/credentials"}"
    given+=(--volume "$DIR/credentials:$CREDENTIALS_INSIDE:ro" --env BATON_CREDENTIALS_FILE)
  fi
  # Only what the boot has pulled: no credentials for more are here. No init of Docker's: the agent, who is the same user, could read
  # the environment of that, as it cannot that of the runner (agent/Dockerfile). No dumps of memory, which the host would keep.
  docker run --detach --pull never --name "$NAME" --label "$LABEL=$RUN" --stop-timeout "$STOP_TIMEOUT_S" \
    --security-opt no-new-privileges --pids-limit "$PIDS_MAX" --oom-score-adj "$OOM_SCORE" --ulimit core=0 \
    --env-file "$DIR/container.env" --env BATON_TASK_ID --env BATON_ATTEMPT --env BATON_PAYLOAD --env BATON_NATIVE_ID \
    --env BATON_STOP_TIMEOUT_S --env BATON_RUN_DIR "${given[@]}" "$image" run ||
    unusable 'the container cannot be started'
}

# Whatever ended this script: the run ends, the host is wiped, and only that gives the lock free with a word.
finish() {
  local code=$? proven=''
  trap - EXIT
  trap '' TERM INT HUP
  stop_container
  if ((code == EXIT_REBOOT)); then code=1; fi
  if ((code == EXIT_SIGKILL)); then code=$EXIT_KILLED; fi
  if clear_host; then
    proven=yes
    note "$code"
    say "nothing of $RUN is left"
  else
    code=$EXIT_UNPROVEN
    say "something of $RUN is left"
  fi
  if [[ -n ${GUARD[1]:-} ]]; then echo finished >&"${GUARD[1]}" || true; fi
  # Last: the code stands, whoever kills this now.
  if [[ -n $proven ]]; then tag idle ''; fi
  exit "$code"
}

# It inherits the lock, so that nobody takes the host while it ends the run.
start_guard() {
  local ready=''
  export BATON_HOST_CREDENTIALS="$CREDENTIALS"
  coproc GUARD { exec setsid /bin/bash "$0" guard 2>"$DIR/guard.log"; }
  read -r -t "$GUARD_START_S" ready <&"${GUARD[0]}" || true
  [[ $ready == ready ]] || unusable 'the guard did not come up'
}

# Ends with the word of the script, or does its work when the pipe is closed without one. While it waits, it renews the credentials.
guard() {
  local word='' file=${BATON_HOST_CREDENTIALS:-}
  cd /
  trap '' TERM INT HUP
  echo ready
  exec >&2
  until read -r -t "$CREDENTIALS_EVERY_S" word; do
    # A code up to 128 is the end of the pipe, a higher one that of the time (bash, read).
    (($? > 128)) || break
    [[ -z $file ]] || renew_credentials "$file" || say 'there are no newer credentials; those that are here stay'
  done
  if [[ $word == finished ]]; then exit 0; fi
  say "the command of $RUN was killed"
  (exit "$EXIT_KILLED") || finish
}

# Nothing of any run may be left: neither a container nor a file. Images stay, so that the next run starts at once.
clear_host() {
  local left
  left=$(containers "$LABEL") || return 1
  if [[ -n $left ]]; then
    # One word per container.
    # shellcheck disable=SC2086
    docker rm --force --volumes $left >/dev/null || true
    left=$(containers "$LABEL") || return 1
    [[ -z $left ]] || return 1
  fi
  docker container prune --force >/dev/null || return 1
  # Moved first: whoever still renews them does not find the place again.
  if [[ -e $DIR/credentials ]]; then
    rm -rf "$DIR/gone" || return 1
    mv -T "$DIR/credentials" "$DIR/gone" || return 1
  fi
  rm -rf "$DIR/run" "$DIR/code" "$DIR/gone" || return 1
  # Only root can reach it from outside; in the container everybody may write.
  mkdir -m 0777 "$DIR/run" || return 1
}

# What the runner signs with: no container reaches the metadata service, which answers over one hop. The agent is the same user, so no mode
# keeps the file from it. Its name does: nobody but root can list the directory that it is in, and the name is in the runner's environment
# alone, which the agent cannot read.
offer_credentials() {
  CREDENTIALS=''
  [[ -s $DIR/region ]] || return 0
  local name
  name=$(</proc/sys/kernel/random/uuid)
  mkdir -m 0711 "$DIR/credentials" "$DIR/credentials/$name" || unusable "$DIR cannot be written"
  CREDENTIALS="$DIR/credentials/$name/role.json"
  renew_credentials "$CREDENTIALS" || renew_credentials "$CREDENTIALS" || unusable 'this instance has no credentials of a role'
}

# Into the given file, in the format of a credential_process (AWS SDKs and tools reference guide): whole, or not at all.
renew_credentials() {
  local token role told code id key session expiration
  token=$(metadata PUT "X-aws-ec2-metadata-token-ttl-seconds: $METADATA_TOKEN_S" api/token) || return 1
  token="X-aws-ec2-metadata-token: $token"
  role=$(metadata GET "$token" meta-data/iam/security-credentials/) || return 1
  [[ $role =~ ^[A-Za-z0-9_+=,.@-]{1,64}$ ]] || return 1
  told=$(metadata GET "$token" "meta-data/iam/security-credentials/$role") || return 1
  code=$(field Code "$told") && id=$(field AccessKeyId "$told") && key=$(field SecretAccessKey "$told") &&
    session=$(field Token "$told") && expiration=$(field Expiration "$told") || return 1
  [[ $code == Success && $expiration =~ ^[0-9-]{10}T[0-9:]{8}Z$ ]] || return 1
  printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"%s","Expiration":"%s"}\n' \
    "$id" "$key" "$session" "$expiration" >"$1.new" || return 1
  chmod 0444 "$1.new" && mv -f "$1.new" "$1"
}

# method, header, path
metadata() {
  curl --silent --show-error --fail --noproxy '*' --max-time "$METADATA_S" --request "$1" --header "$2" "$METADATA/$3" 9>&-
}

# The text that has this name in an object of JSON: one without escapes, as keys and dates are.
field() {
  local pattern="\"$1\"[[:space:]]*:[[:space:]]*\"([A-Za-z0-9/+=:.-]+)\""
  [[ $2 =~ $pattern ]] && printf '%s' "${BASH_REMATCH[1]}"
}

# For people who look at the list of instances: nothing decides by it, and no run fails for it.
tag() {
  local region=''
  [[ -s $DIR/region ]] || return 0
  region=$(<"$DIR/region")
  timeout "$TAGS_S" aws ec2 create-tags --region "$region" --resources "$INSTANCE_ID" \
    --tags "Key=baton:status,Value=$1" "Key=baton:task-id,Value=$2" 9>&- || say "the tags of $INSTANCE_ID are not set to $1"
}

kill_others() {
  local own all id
  own=$(containers "$LABEL=$RUN") && all=$(containers "$LABEL") || return 0
  for id in $all; do
    [[ $own == *"$id"* ]] || docker kill "$id" >/dev/null 2>&1 || true
  done
}

# SIGTERM, and SIGKILL after the time that the container was started with. Does nothing to one that has ended, or is not there.
stop_container() {
  docker stop "$NAME" >/dev/null 2>&1 || true
}

containers() {
  docker ps --all --quiet --filter "label=$1"
}

record() {
  find "$DIR/ended" -type f -mtime "+$ENDED_KEPT_D" -delete || true
  printf '%s\n' "$1" >"$ENDED.$$" && mv -f "$ENDED.$$" "$ENDED"
}

# For an attempt that has held the lock: it does not begin again without that, either.
note() {
  record "$1" || say "it cannot be noted that $RUN ended with $1"
}

forbid() {
  [[ -e $ENDED ]] || record "$EXIT_OVER"
}

# A full disk, or a machine that lost its power, leaves a file without one.
code_in() {
  local code
  code=$(<"$1") || true
  [[ $code =~ ^[0-9]{1,3}$ ]] || code=$EXIT_KILLED
  printf '%s' "$code"
}

hold() {
  printf '%s\n' "$RUN" >"$DIR/holder.$$" && mv -fT "$DIR/holder.$$" "$DIR/holder"
}

holder() {
  cat "$DIR/holder" 2>/dev/null || true
}

# No container, and nothing that outlives this script, may keep the lock.
docker() {
  command docker "$@" 9>&-
}

refuse() {
  say "the parameter $1 is not valid"
  exit "$EXIT_REFUSED"
}

unusable() {
  say "$1"
  exit "$EXIT_NOT_STARTED"
}

unproven() {
  say "$1"
  exit "$EXIT_UNPROVEN"
}

# On a full disk the guard can say nothing, and ends the run all the same.
say() {
  printf 'baton: %s\n' "$1" || true
}

main "$@"

#!/bin/bash
# Makes a fresh instance a worker of a fleet: user data of its launch template, run once, as root, by cloud-init. Infrastructure puts the
# settings before it, one `export NAME='value'` each:
#
#   BATON_FLEET, BATON_IMAGE, BATON_LOG_GROUP          the fleet, what it runs, where output goes
#   BATON_BUS, BATON_TABLE, BATON_PAYLOAD_BUCKET       what runners need to know of the deployment
#   BATON_AGENT_SECRETS                                which secrets they fetch for agents; not where there are none
#
# Its last word is an event: WorkerRegistered, or WorkerBootFailed from whichever line it fails at. An instance that cannot even say
# that is given up by Auto Scaling, when the time of its launch hook is over.
set -Eeuo pipefail
export LC_ALL=C

# One call of a service, in seconds: it is answered, or fails, within a few.
readonly CALL_S=30
# How often what goes over the network is tried: a fresh instance has its network some seconds after its first line.
readonly TRIES=5
# Between two tries, in seconds.
readonly PAUSE_S="${BATON_PAUSE_S:-5}"
# For installing packages and for pulling an image of several gigabytes, in seconds.
readonly LONG_S=900
# How long Systems Manager may take to reach the machine, in seconds: its agent looks again only five minutes after a first look in vain.
readonly REACHED_S="${BATON_REACHED_S:-600}"
# One question about that, in seconds: it is asked again anyhow.
readonly ASK_S="${BATON_ASK_S:-10}"
# That wait is over this many seconds after the script's start: the launch hook (schemas/worker.ts) began up to 90 seconds before it, the
# last question takes ASK_S more, and to say the failure up to 200.
readonly REACHED_BY_S="${BATON_REACHED_BY_S:-900}"
# SSM's agent from this version on hands parameters over as variables (Systems Manager user guide, data elements and parameters).
readonly AGENT_MIN=3.3.2746.0

# Output that waits to be sent: minutes of a busy agent, and little beside the memory of the smallest instance.
readonly LOG_BUFFER=25m
# Most characters of the list of secrets (schemas/agent-secrets.ts).
readonly AGENT_SECRETS_MAX=2048
# One of them: references as they are, so that nothing in them ends a line of the file, or means something to who reads it.
readonly AGENT_SECRET='[A-Z][A-Z0-9_]*=arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}'

# Where the files of the system are: another place in tests.
readonly ROOT="${BATON_ROOT:-}"
readonly DIR="$ROOT/var/lib/baton"
readonly METADATA=http://169.254.169.254/latest

INSTANCE_ID='' REGION=''
# What Systems Manager answered last.
ANSWER=''
# What the line of a failure does not say; of this script's own words alone.
HINT=''

main() {
  trap 'failed "$LINENO" "$?"' ERR
  check_settings
  know_machine
  check_agent
  tries install_packages
  write_daemon_settings
  systemctl enable --now docker
  tries pull_image
  write_host_settings
  await_commands
  tag_status idle
  tries announce WorkerRegistered ''
  trap - ERR
}

# The image's name ends in a file and in a command line, the others in files and in JSON.
check_settings() {
  [[ $BATON_FLEET =~ ^[a-z][a-z0-9-]{0,31}$ ]]
  [[ $BATON_IMAGE =~ ^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,300}$ ]]
  [[ $BATON_LOG_GROUP =~ ^[A-Za-z0-9._/#-]{1,512}$ ]]
  [[ $BATON_BUS =~ ^[A-Za-z0-9._:/-]{1,1600}$ ]]
  [[ $BATON_TABLE =~ ^[A-Za-z0-9._-]{3,255}$ ]]
  [[ $BATON_PAYLOAD_BUCKET =~ ^[a-z0-9.-]{3,63}$ ]]
  readonly AGENT_SECRETS="${BATON_AGENT_SECRETS-}"
  if [[ -v BATON_AGENT_SECRETS ]]; then
    [[ $AGENT_SECRETS =~ ^$AGENT_SECRET(,$AGENT_SECRET)*$ ]]
    [[ ! $AGENT_SECRETS =~ (^|,)(BATON|AWS|ECS)_ ]]
    ((${#AGENT_SECRETS} <= AGENT_SECRETS_MAX))
  fi
}

know_machine() {
  local token
  token=$(tries metadata_token)
  INSTANCE_ID=$(tries metadata "$token" meta-data/instance-id)
  REGION=$(tries metadata "$token" meta-data/placement/region)
  [[ $INSTANCE_ID =~ ^i-[0-9a-f]{8,32}$ ]]
  [[ $REGION =~ ^[a-z0-9-]{5,32}$ ]]
}

metadata_token() {
  curl --silent --fail --noproxy '*' --max-time "$CALL_S" --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$METADATA/api/token"
}

metadata() {
  curl --silent --fail --noproxy '*' --max-time "$CALL_S" --header "X-aws-ec2-metadata-token: $1" "$METADATA/$2"
}

check_agent() {
  local version lowest
  version=$(rpm --query --queryformat '%{VERSION}' amazon-ssm-agent)
  lowest=$(printf '%s\n' "$AGENT_MIN" "$version" | sort --version-sort | head -n 1)
  [[ $lowest == "$AGENT_MIN" ]]
}

install_packages() {
  timeout "$LONG_S" dnf install --assumeyes --quiet docker amazon-ecr-credential-helper
}

# Output goes where it outlives the instance, under the name of the run; where that takes nothing, it is not waited for: writing would hold
# up the runner. Containers live on when the daemon is renewed.
write_daemon_settings() {
  mkdir -p "$ROOT/etc/docker" "$ROOT/root/.docker"
  printf '{"live-restore":true,"log-driver":"awslogs","log-opts":{"awslogs-region":"%s","awslogs-group":"%s","tag":"%s",%s}}\n' \
    "$REGION" "$BATON_LOG_GROUP" '{{.Name}}' "\"mode\":\"non-blocking\",\"max-buffer-size\":\"$LOG_BUFFER\"" >"$ROOT/etc/docker/daemon.json"
  local registry=${BATON_IMAGE%%/*}
  if [[ $registry =~ \.dkr\.ecr\. ]]; then
    printf '{"credHelpers":{"%s":"ecr-login"}}\n' "$registry" >"$ROOT/root/.docker/config.json"
  fi
}

pull_image() {
  HOME="$ROOT/root" timeout "$LONG_S" docker pull --quiet "$BATON_IMAGE"
}

write_host_settings() {
  mkdir -p "$DIR"
  chmod 0700 "$DIR"
  printf '%s\n' "$BATON_IMAGE" >"$DIR/image"
  printf '%s\n' "$REGION" >"$DIR/region"
  {
    printf 'BATON_BUS=%s\n' "$BATON_BUS"
    printf 'BATON_TABLE=%s\n' "$BATON_TABLE"
    printf 'BATON_PAYLOAD_BUCKET=%s\n' "$BATON_PAYLOAD_BUCKET"
    printf 'AWS_REGION=%s\n' "$REGION"
    if [[ -n $AGENT_SECRETS ]]; then printf 'BATON_AGENT_SECRETS=%s\n' "$AGENT_SECRETS"; fi
  } >"$DIR/container.env"
}

# A command that is sent before fails, and its worker would be replaced. Commands come over the connection that is asked about, which the
# agent opens after it has announced the machine. Whoever may not ask yet is not there yet: the right is tied to tags of the machine.
await_commands() {
  local wait_s=$((REACHED_BY_S - SECONDS)) until_s
  ((wait_s < REACHED_S)) || wait_s=$REACHED_S
  ((wait_s > 0)) || wait_s=0
  until_s=$((SECONDS + wait_s))
  HINT=" Systems Manager did not reach the machine within $wait_s s, $SECONDS s after the boot began."
  until is_reached; do
    ((SECONDS + PAUSE_S < until_s))
    sleep "$PAUSE_S"
  done
  HINT=''
}

# Warnings may stand beside the answer. What is answered again and again is printed once.
is_reached() {
  local before=$ANSWER
  ANSWER=$(timeout "$ASK_S" aws ssm get-connection-status --region "$REGION" --target "$INSTANCE_ID" --query Status --output text 2>&1) ||
    ANSWER+=" (exit code $?)"
  if grep --quiet --line-regexp connected <<<"$ANSWER"; then return 0; fi
  if [[ $ANSWER != "$before" ]]; then printf 'baton: whether Systems Manager reaches the machine: %s\n' "$ANSWER"; fi
  return 1
}

# For people who look at the list of instances: nothing decides by it.
tag_status() {
  timeout "$CALL_S" aws ec2 create-tags --region "$REGION" --resources "$INSTANCE_ID" --tags "Key=baton:status,Value=$1" || true
}

failed() {
  trap - ERR
  # What failed in a subshell is told by the shell itself.
  ((BASH_SUBSHELL == 0)) || exit 1
  set +e
  printf 'baton: the boot failed at line %s with %s.%s\n' "$1" "$2" "$HINT"
  if [[ -n $INSTANCE_ID && -n $REGION ]]; then
    tag_status boot-failed
    tries announce WorkerBootFailed ",\"message\":\"The boot failed at line $1 with exit code $2.$HINT\""
  fi
  exit 1
}

# No text of anybody's stands in it: its values were checked, or are numbers.
announce() {
  local detail entries refused
  detail="{\\\"data\\\":{\\\"fleet\\\":\\\"$BATON_FLEET\\\",\\\"worker\\\":\\\"$INSTANCE_ID\\\"${2//\"/\\\"}}}"
  entries="[{\"EventBusName\":\"$BATON_BUS\",\"Source\":\"baton.agent\",\"DetailType\":\"$1\",\"Detail\":\"$detail\"}]"
  refused=$(timeout "$CALL_S" aws events put-events --region "$REGION" --entries "$entries" --query FailedEntryCount --output text)
  [[ $refused == 0 ]]
}

tries() {
  local number
  for ((number = 1; number < TRIES; number++)); do
    if "$@"; then return 0; fi
    sleep "$PAUSE_S"
  done
  "$@"
}

main "$@"

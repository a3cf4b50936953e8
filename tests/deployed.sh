#!/usr/bin/env bash
# Runs the black-box tests against the service in its deployed forms, without an AWS account. It has four parts:
#
#   ministack   the service in the test process, on a second implementation of DynamoDB (ministack, from PyPI)
#   lambda      the release binaries in the AWS Lambda runtime emulator, with events of a REST API and of an HTTP API
#   deploy      `sam deploy` of template.yaml into ministack, and the recorded exchanges through its API Gateway
#   sam_local   `sam local start-api`: the release binaries in containers, and the recorded exchanges through the
#               gateway of SAM
#
#   bash tests/deployed.sh [PART]...          runs the named parts, or all parts
#   SCIM_CI_DEPLOYED=1 bash .ci/run           runs all parts after the other checks
#
# The script installs its tools into the cache of .ci/run. sam_local installs a Docker engine from the system's packages
# and starts its own instance. It needs root for both. All servers listen on 127.0.0.1 and stop with the script.
#
# A test that does not apply to a target fails with `not a test of this target` and the reason (tests/src/lib.rs).
# The script counts these tests and lists them in target/ci/<part>.log. Any other failure fails the part.
# shellcheck source=.ci/steps.sh
source "$(dirname "$0")/../.ci/steps.sh"

# The base URL that the tests expect. It differs from the URL of an emulator's gateway.
base_url=https://scim.test/scim/v2
binaries=$logs/sam

# with_endpoint URL DIRECTORY: copies the output of `sam build` and sets AWS_ENDPOINT_URL in the functions' environment.
# Neither emulator sets this variable.
with_endpoint() {
    rm -rf "$2"
    cp -r "$binaries" "$2"
    sed -i "s|^\( *\)SCIM_STACK:|\1AWS_ENDPOINT_URL: $1\n&|" "$2/template.yaml"
    grep -q "AWS_ENDPOINT_URL: $1" "$2/template.yaml"
}

# --------------------------------------------------------------------------------------------------- parts

ministack() {
    trap undo_all EXIT
    start_ministack
    SCIM_TEST_DYNAMODB=$endpoint suite ministack http exchanges queries races
}

lambda() {
    trap undo_all EXIT
    start_ministack
    local events failed=0
    for events in rest http; do
        SCIM_TEST_DYNAMODB=$endpoint SCIM_TEST_LAMBDA=$binaries SCIM_TEST_EVENTS=$events SCIM_TEST_RIE=$(emulator) \
            suite "lambda-$events" http exchanges queries races || failed=1
    done
    return $failed
}

# Prints the path of the AWS Lambda runtime emulator, which is part of SAM.
emulator() {
    echo "$cache"/sam/lib/python3*/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64
}

deploy() {
    trap undo_all EXIT
    start_ministack
    with_endpoint "$endpoint" "$logs/deploy"
    # The stack has no alarms, because ministack does not support metric math.
    PATH=$cache/sam/bin:$PATH sam deploy --template-file "$logs/deploy/template.yaml" --stack-name scim --resolve-s3 \
        --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-confirm-changeset --no-progressbar \
        --parameter-overrides Architecture=x86_64 BaseUrl=$base_url WithAlarms=false
    "$cache/sam/bin/python" tests/deployed.py scim >"$logs/deploy/environment"
    # shellcheck source=/dev/null
    source "$logs/deploy/environment"
    # Only the recorded exchanges run: ministack's gateway decodes paths and adds headers, unlike API Gateway.
    SCIM_TEST_DYNAMODB=$endpoint suite deploy exchanges
}

sam_local() {
    trap undo_all EXIT
    start_ministack
    start_docker "${endpoint##*:}"
    with_endpoint "http://$bridge:${endpoint##*:}" "$logs/sam_local"
    # SAM resolves a reference to a resource to its logical id, so this file sets the names.
    cat >"$logs/sam_local/variables.json" <<'JSON'
{"Parameters": {"SCIM_RESOURCES_TABLE": "scim-resources", "SCIM_KEYS_TABLE": "scim-keys", "SCIM_REQUESTS_TABLE": "scim-requests", "SCIM_PEPPER_SECRET_ID": "scim-test-pepper"}}
JSON
    local port
    port=$(free_port)
    PATH=$cache/sam/bin:$PATH serve "$port" "$logs/sam_local.server.log" \
        env --unset AWS_ENDPOINT_URL sam local start-api --host 127.0.0.1 --port "$port" --skip-pull-image \
        --warm-containers EAGER --template "$logs/sam_local/template.yaml" --env-vars "$logs/sam_local/variables.json" \
        --parameter-overrides Architecture=x86_64 BaseUrl=$base_url
    export SCIM_TEST_API=http://127.0.0.1:$port SCIM_TEST_PEPPER=pepper
    export SCIM_RESOURCES_TABLE=scim-resources SCIM_KEYS_TABLE=scim-keys SCIM_REQUESTS_TABLE=scim-requests
    # A container accepts one request at a time, and SAM is slow. One thread therefore runs only the recorded exchanges.
    SCIM_TEST_DYNAMODB=$endpoint threads=1 suite sam_local exchanges
}

# start_docker PORT: starts a separate Docker engine on a separate bridge. Its containers reach this port of 127.0.0.1
# under the address of the bridge. Sets DOCKER_HOST and `bridge`, the address.
start_docker() {
    local missing=() program run
    for program in dockerd debootstrap iptables; do
        command -v "$program" || missing+=("${program/dockerd/docker.io}")
    done
    ((${#missing[@]} == 0)) || packages "${missing[@]}"

    bridge=172.31.254.1
    as_root ip link add scim-test type bridge
    as_root ip address add $bridge/24 dev scim-test
    as_root ip link set scim-test up
    as_root sysctl -q net.ipv4.conf.scim-test.route_localnet=1
    as_root iptables -t nat -A PREROUTING -i scim-test -p tcp -d $bridge --dport "$1" -j DNAT --to "127.0.0.1:$1"
    undo+=("as_root ip link delete scim-test" "as_root iptables -t nat -D PREROUTING -i scim-test -p tcp -d $bridge --dport $1 -j DNAT --to 127.0.0.1:$1")

    run=$(mktemp -d)
    export DOCKER_HOST=unix://$run/socket
    as_root dockerd --host "$DOCKER_HOST" --group "$(id -g)" --bridge scim-test --ip 127.0.0.1 \
        --iptables=false --data-root "$cache/docker" --exec-root "$run" --pidfile "$run/pid" >"$logs/dockerd.server.log" 2>&1 &
    undo+=("as_root kill \$(cat $run/pid); wait $!")
    until docker info; do
        kill -0 "$!"
        sleep 0.5
    done >/dev/null 2>&1

    # SAM starts the functions from AWS's image. Where the image cannot be pulled, a Debian image takes its place. It
    # has everything that a `bootstrap` needs, with a newer C library than Amazon's.
    local image=public.ecr.aws/lambda/provided:al2023-x86_64
    docker image inspect $image >/dev/null || docker pull $image || {
        as_root rm -rf "$cache/debian"
        as_root debootstrap --variant=minbase bookworm "$cache/debian"
        as_root tar -C "$cache/debian" -c . | docker import -c 'WORKDIR /var/task' -c 'ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime LANG=C.UTF-8' - $image
    }
}

# ----------------------------------------------------------------------------------------------------- run

(($#)) || set -- ministack lambda deploy sam_local
step sam_tools
[[ $* == ministack ]] || step lambda_binaries
for part in "$@"; do step "$part"; done

# shellcheck shell=bash
# The functions that .ci/run, tests/deployed.sh and tests/aws.sh share. Each step logs to target/ci/<step>.log. Tools are
# installed once, into a cache outside the checkout.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

logs=$PWD/target/ci
cache=${XDG_CACHE_HOME:-$HOME/.cache}/scim-ci
mkdir -p "$logs" "$cache"

export SAM_CLI_TELEMETRY=0
export AWS_DEFAULT_REGION=us-east-1

as_root() {
    if [[ $EUID == 0 ]]; then "$@"; else sudo "$@"; fi
}

# packages NAME...: installs packages of Debian or Ubuntu.
packages() {
    as_root apt-get update
    as_root apt-get install --yes --no-install-recommends "$@"
}

# venv NAME REQUIREMENT...: makes a Python environment in the cache, again whenever its requirements change.
venv() {
    local dir=$cache/$1 wanted=("${@:2}")
    [[ "${wanted[*]}" == "$(cat "$dir/requirements" 2>/dev/null)" ]] && return
    rm -rf "$dir"
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet --disable-pip-version-check "${wanted[@]}"
    echo "${wanted[*]}" >"$dir/requirements"
}

# node_packages NAME DIR: installs the packages of the lock file in DIR into the cache, again whenever the file changes.
node_packages() {
    command -v npm || packages nodejs npm
    local dir=$cache/$1
    cmp -s "$2/package-lock.json" "$dir/package-lock.json" && [[ -e $dir/node_modules/.package-lock.json ]] && return
    rm -rf "$dir"
    mkdir "$dir"
    cp "$2"/package*.json "$dir"
    npm ci --prefix "$dir" --ignore-scripts --no-audit --no-fund
}

# Installs the tools that build and run Lambda functions. They need two environments: cargo-lambda finds zig through the
# first `python3` on PATH.
sam_tools() {
    venv lambda cargo-lambda==1.9.2 ziglang==0.17.1
    venv sam aws-sam-cli==1.170.0
}

# Builds the release binaries as they are deployed, but for x86_64: rustup would have to download the arm64 target.
# The output directory is not .aws-sam, which `sam deploy` would deploy.
lambda_binaries() {
    local PATH=$cache/lambda/bin:$cache/sam/bin:$PATH name
    # `sam build` builds and links the functions one by one. It finds these seven up to date, which this command links on
    # every core. The others have more Cargo features: built together with them, the seven would be built twice.
    cargo lambda build --locked --release \
        --package users --package groups --package bulk --package janitor --package discovery --package events --package feed
    sam build --build-dir "$logs/sam" --parameter-overrides Architecture=x86_64
    for name in Users Groups Bulk Janitor Discovery Events Feed Token Admin Console; do
        test -x "$logs/sam/${name}Function/bootstrap"
    done
    echo "summary: $(du --apparent-size --block-size=KiB "$logs"/sam/*Function/bootstrap | cut -f1 | xargs)"
}

# suite NAME TEST...: runs these test binaries against the target that the environment names.
suite() {
    local name=$1 output=$logs/$1.tests test selected=()
    for test in "${@:2}"; do selected+=(--test "$test"); done
    RUST_BACKTRACE=0 cargo test --locked --package tests "${selected[@]}" --no-fail-fast -- ${threads:+--test-threads="$threads"} >"$output" 2>&1 || true
    awk -v name="$name" -v wanted=$(($# - 1)) '
        /^---- .* ----$/ { test = $2; section[test] = 1; next }
        /^failures:$/ { test = "" }
        test != "" && sub(/.*not a test of this target: /, "") { reason[test] = $0 }
        /^test result: / { results++; passed += $4; failed += $6; ignored += $8 }
        END {
            for (test in section)
                print (test in reason ? "not of this target: " test ": " reason[test] : "FAILED " test) | "sort"
            close("sort")
            for (test in reason) others++
            wrong = failed - others
            printf "summary: %s: %d passed, %d failed, %d not of this target\n", name, passed, wrong, others
            exit wrong != 0 || passed == 0 || results != wanted
        }' "$output"
}

# step NAME: runs the function of that name, writes its output to its log, and prints its result as one line.
step() {
    local name=$1 log=$logs/$1.log begin=$SECONDS status
    # `if step` and `step ||` would turn `set -e` off inside the step.
    set +e
    (
        set -e
        "$name"
    ) >"$log" 2>&1
    status=$?
    set -e
    if ((status)); then
        printf 'FAIL  %-20s %4d s\n' "$name" $((SECONDS - begin))
        tail -n 60 "$log"
        echo "exit status $status; the whole log: $log"
        exit 1
    fi
    printf 'ok    %-20s %4d s  %s\n' "$name" $((SECONDS - begin)) "$(sed -n 's/^summary: //p' "$log")"
    # The closing line of each test binary.
    sed -n 's/^test result: /      &/p' "$log"
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# The commands that undo a step. They run when the step ends, in reverse order.
undo=()
undo_all() {
    local index
    for ((index = ${#undo[@]} - 1; index >= 0; index--)); do eval "${undo[index]}" || true; done
}

# serve PORT LOG COMMAND...: starts a server and waits until it listens.
serve() {
    "${@:3}" >"$2" 2>&1 &
    undo+=("kill $!; wait $!")
    until (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null; do
        kill -0 "$!"
        sleep 0.2
    done
}

# Starts ministack: DynamoDB, Secrets Manager and the other services of a stack, in memory. Sets `endpoint`.
start_ministack() {
    venv ministack ministack==1.5.33 aws-sam-translator==1.115.0
    local port
    port=$(free_port)
    endpoint=http://127.0.0.1:$port
    BIND_HOST=127.0.0.1 GATEWAY_PORT=$port IOT_MTLS_ENABLED=0 \
        serve "$port" "$logs/ministack.server.log" "$cache/ministack/bin/ministack"
    export AWS_ENDPOINT_URL=$endpoint AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
}

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
    # `sam build` links the functions one by one. It finds them up to date after this build of all, which uses every core.
    cargo lambda build --locked --release \
        --package users --package groups --package bulk --package janitor --package discovery
    sam build --build-dir "$logs/sam" --parameter-overrides Architecture=x86_64
    for name in Users Groups Bulk Janitor Discovery; do
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

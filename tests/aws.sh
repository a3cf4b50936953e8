#!/usr/bin/env bash
# Deploys the service into your AWS account, runs the black-box tests against it, answers the questions that no emulator
# answers, and deletes everything.
#
#   bash tests/aws.sh --dry-run [STEP]...   prints the commands, and needs no account
#   bash tests/aws.sh [STEP]...             runs the named steps, or all steps in this order:
#
#   account    shows the account and its quotas
#   build      builds the functions
#   deploy     creates the stack scim-test-<number> with alarms and firewall
#   suite_aws  runs the tests against the API
#   questions  sends single requests
#   throttling exceeds the limits of the stage and of the firewall
#   release    deploys the same build again, with a canary that an alarm stops
#   restore    deletes the stack, and puts a new one on its tables and its secret
#   failure    creates a stack that fails, and lists what is left
#
# The account needs nothing but credentials that the AWS CLI finds, and a region (AWS_REGION). The identity may create
# roles. The script takes about an hour, most of it waiting, and costs less than a dollar. Whatever happens, the last
# step deletes the stacks, the tables and the secrets. The bucket of SAM is left (aws-sam-cli-managed-default).
#
# SCIM_AWS_STACK continues with a stack of an earlier run, SCIM_AWS_KEEP=1 deletes nothing, SCIM_AWS_ARCHITECTURE is
# arm64 (the default) or x86_64. The answers are in target/ci/aws.answers.
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-us-east-1}}
# shellcheck source=.ci/steps.sh
source "$(dirname "$0")/../.ci/steps.sh"
export AWS_REGION=$region AWS_DEFAULT_REGION=$region AWS_PAGER=

dry_run=
[[ ${1:-} != --dry-run ]] || { dry_run=1 && shift; }
stack=${SCIM_AWS_STACK:-scim-test-$RANDOM}
failing=$stack-failing
answers=$logs/aws.answers
state=$logs/aws.$stack
# The base URL that the tests expect in answers.
base_url=https://scim.test/scim/v2

# ------------------------------------------------------------------------------------------------- commands

# run COMMAND...: prints the command, and runs it unless this is a dry run. Secrets are never arguments.
run() {
    { printf '+' && printf ' %q' "$@" && echo; } >&2
    [[ -n $dry_run ]] || "$@"
}

# ask PLACEHOLDER COMMAND...: like `run`, and prints the placeholder in a dry run.
ask() {
    run "${@:2}"
    [[ -z $dry_run ]] || echo "<$1>"
}

# answer QUESTION TEXT: records an answer.
answer() {
    [[ -z $dry_run ]] || { echo "# answers $1" && return; }
    printf '%-9s %s\n' "$1" "$2" | tee -a "$answers"
}

# pause SECONDS: waits for logs, metrics or the firewall.
pause() {
    run sleep "$1"
}

output() {
    ask "$1" aws cloudformation describe-stacks --stack-name "$stack" --output text \
        --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue"
}

resource() {
    ask "$1" aws cloudformation describe-stack-resource --stack-name "$stack" --logical-resource-id "$1" --output text \
        --query StackResourceDetail.PhysicalResourceId
}

# deploy_stack NAME PARAMETER=VALUE...: creates or updates a stack. A parameter that is not named keeps its value.
deploy_stack() {
    run sam deploy --template-file "$logs/aws/template.yaml" --stack-name "$1" --resolve-s3 \
        --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --no-confirm-changeset --no-progressbar \
        --no-fail-on-empty-changeset --tags service=scim-test --parameter-overrides "${@:2}"
}

# The parameters of a new stack: `dev`, so that the tables can be deleted.
parameters() {
    local manages=false
    [[ $(ask None aws apigateway get-account --query cloudwatchRoleArn --output text) != None ]] || manages=true
    echo "Environment=dev Architecture=${SCIM_AWS_ARCHITECTURE:-arm64} BaseUrl=$base_url ManageGatewayAccount=$manages" \
        "LogRetentionDays=1 WithFirewall=true AddressLimit=1000000 KeyLimit=1000000 Release=first" \
        "ThrottleRate=1000 ThrottleBurst=2000"
}

# The URL of the stage. The output OktaBaseUrl is the parameter BaseUrl.
stage_url() {
    echo "https://$(output ApiId).execute-api.$region.amazonaws.com/scim"
}

live_version() {
    ask version aws lambda get-alias --function-name "$(resource UsersFunction)" --name live --output text --query FunctionVersion
}

# status CURL_ARGUMENT...: prints the status of the answer.
status() {
    ask status curl --silent --output /dev/null --write-out '%{http_code}' "$@"
}

# count_429 URL: sends 600 requests, 30 at a time, and prints how many answers have the status 429.
count_429() {
    { printf '+ 600 requests to %s\n' "$1"; } >&2
    [[ -z $dry_run ]] || { echo '<count>' && return; }
    seq 600 | xargs --max-procs 30 --replace curl --silent --output /dev/null --write-out '%{http_code}\n' \
        --header 'Authorization: Bearer scim_test_none' "$1" | grep -c '^429$' || true
}

# ---------------------------------------------------------------------------------------------------- steps

account() {
    run aws sts get-caller-identity
    answer quota "$(ask number aws lambda get-account-settings --output text --query AccountLimit.ConcurrentExecutions) concurrent executions"
}

build() {
    run env PATH="$cache/lambda/bin:$PATH" sam build --build-dir "$logs/aws" \
        --parameter-overrides "Architecture=${SCIM_AWS_ARCHITECTURE:-arm64}"
}

# C9: with FailOnWarnings, API Gateway refuses the API if its importer warns. C12: no emulator creates all alarms.
deploy() {
    local values
    read -ra values <<<"$(parameters)"
    deploy_stack "$stack" "${values[@]}"
    answer C9 "the API was imported without warnings"
    answer C12 "$(ask number aws cloudwatch describe-alarms --alarm-name-prefix "$stack-" --output text --query 'length(MetricAlarms)') alarms"
    answer A5 "limits of the methods: $(ask settings aws apigateway get-stage --rest-api-id "$(output ApiId)" --stage-name scim \
        --output json --query 'methodSettings' | tr -d ' \n')"
}

# Exports the tables and the secret of the stack, for scimctl and the tests.
connect() {
    SCIM_RESOURCES_TABLE=$(output ResourcesTable)
    SCIM_KEYS_TABLE=$(output KeysTable)
    SCIM_REQUESTS_TABLE=$(output RequestsTable)
    SCIM_PEPPER_SECRET_ID=$(output PepperSecret)
    export SCIM_RESOURCES_TABLE SCIM_KEYS_TABLE SCIM_REQUESTS_TABLE SCIM_PEPPER_SECRET_ID
    # The SDK of the tests has no single sign-on.
    [[ -n $dry_run ]] || eval "$(aws configure export-credentials --format env)"
}

suite_aws() {
    connect
    # The tests expect no 429. The methods of users and groups have ThrottleRate (`parameters`), which this setting of all
    # others does not change. The others accept 10 requests a second in the template.
    run aws apigateway update-stage --rest-api-id "$(output ApiId)" --stage-name scim --output text --query stageName \
        --patch-operations 'op=replace,path=/*/*/throttling/rateLimit,value=1000' \
        'op=replace,path=/*/*/throttling/burstLimit,value=1000'
    pause 60
    echo "+ SCIM_TEST_DYNAMODB=aws SCIM_TEST_API=$(stage_url) cargo test --package tests --test http --test exchanges --test queries" >&2
    [[ -z $dry_run ]] || return 0
    SCIM_TEST_PEPPER=$(aws secretsmanager get-secret-value --secret-id "$SCIM_PEPPER_SECRET_ID" --query SecretString --output text)
    export SCIM_TEST_PEPPER
    local url
    url=$(stage_url)
    # 16 tests at a time stay below the raised limits.
    SCIM_TEST_DYNAMODB=aws SCIM_TEST_API=$url threads=16 suite aws http exchanges queries
}

# Creates an organisation with a key, and keeps the key in a file that only the owner may read.
new_key() {
    local scimctl=(cargo run --quiet --release --package scimctl --)
    run "${scimctl[@]}" org create questions
    (umask 077 && run "${scimctl[@]}" key create --org questions --scope scim --output json >"$state.key")
    [[ -n $dry_run ]] || python3 - "$state.key" <<'PYTHON'
import json, sys
# curl reads headers from this file, so that the key is no argument of a process.
path = sys.argv[1]
key = json.load(open(path))["key"]
open(path, "w").write(f"Authorization: Bearer {key}\n")
PYTHON
}

questions() {
    connect
    new_key
    local url headers body
    url=$(stage_url)/v2

    # A10: API Gateway renames WWW-Authenticate.
    headers=$(ask headers curl --silent --dump-header - --output /dev/null "$url/Users" | grep -i 'www-authenticate' | tr -d '\r' || true)
    answer A10 "401 has: ${headers:-no WWW-Authenticate}"

    # C8: Lambda counts the escaped body. The status is of the function (400, no such member), or of the gateway.
    for body in compact indented; do
        [[ -n $dry_run ]] || python3 - "$body" >"$state.body" <<'PYTHON'
import json, sys, uuid
group = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "large"}
compact = sys.argv[1] == "compact"
group["members"] = [{"value": str(uuid.uuid4())} for _ in range(116_000 if compact else 95_000)]
print(json.dumps(group, separators=(",", ":")) if compact else json.dumps(group, indent=1))
PYTHON
        answer C8 "$body body of 5.7 MB: $(status --header "@$state.key" \
            --header 'Content-Type: application/scim+json' --data-binary "@$state.body" "$url/Groups")"
    done

    # A15: the id that the client sees leads to the line of the function.
    local id line
    id=$(ask requestId curl --silent --dump-header - --output /dev/null --header "@$state.key" "$url/Users?count=1" |
        sed -n 's/^x-amzn-requestid: //Ip' | tr -d '\r')
    pause 90
    line=$(ask lambdaRequestId aws logs filter-log-events --log-group-name "/aws/apigateway/$stack" --output text \
        --filter-pattern "{ \$.requestId = \"$id\" }" --query 'events[0].message' | sed 's/.*"lambdaRequestId":"\([^"]*\)".*/\1/')
    answer A15 "$(ask lines aws logs filter-log-events --log-group-name "/aws/lambda/$stack-users" --output text \
        --filter-pattern "\"$line\"" --query 'length(events)') lines of the function have the id of a line of the gateway"
}

throttling() {
    local url seen metrics
    url=$(stage_url)/v2
    # A16: the log may miss lines when many requests are refused.
    deploy_stack "$stack" ThrottleRate=1 ThrottleBurst=1
    pause 60
    seen=$(count_429 "$url/Users")
    pause 180
    answer A16 "$seen answers were 429, and $(ask number aws logs filter-log-events --log-group-name "/aws/apigateway/$stack" \
        --filter-pattern '{ $.error = "THROTTLED" }' --output text --query 'length(events)') lines of the access log say so"

    # C12: no emulator computes the share of a quota.
    metrics=$(ask metrics aws cloudwatch describe-alarms --alarm-names "$stack-account-concurrency" --output json \
        --query 'MetricAlarms[0].Metrics')
    answer C12 "percent of the quota, in the alarm account-concurrency: $(ask percent aws cloudwatch get-metric-data \
        --start-time "$(date --utc --date '-30 minutes' +%FT%TZ)" --end-time "$(date --utc +%FT%TZ)" \
        --metric-data-queries "$metrics" --output text --query 'MetricDataResults[0].Values')"

    # The answer of the firewall is its own, or the gateway's response WAF_FILTERED.
    deploy_stack "$stack" ThrottleRate=100 ThrottleBurst=200 KeyLimit=10
    pause 60
    count_429 "$url/Users" >/dev/null
    pause 30
    answer B1 "the firewall answers: $(ask answer curl --silent --include --header 'Authorization: Bearer scim_test_none' \
        "$url/Users" | tr -d '\r' | tr '\n' '|')"
    deploy_stack "$stack" KeyLimit=1000000
}

# A14, A9: a canary that an alarm stops, and the same build again.
release() {
    local before
    before=$(live_version)
    deploy_stack "$stack" Release=second
    answer A14 "a new release of the same build: version $before became $(live_version)"

    # The alarm is raised when the shift has begun.
    deploy_stack "$stack" WithCanary=true Release=third &
    local deployment=$!
    pause 240
    run aws cloudwatch set-alarm-state --alarm-name "$stack-users-errors" --state-value ALARM --state-reason 'tests/aws.sh'
    if wait "$deployment"; then answer A14 "the alarm did not stop the canary"; else answer A14 "the alarm stopped the canary"; fi
    run aws cloudwatch set-alarm-state --alarm-name "$stack-users-errors" --state-value OK --state-reason 'tests/aws.sh'
    if deploy_stack "$stack" WithCanary=false Release=third; then
        answer A14 "the same release can be deployed after the rollback"
    else
        answer A14 "the same release cannot be deployed after the rollback"
    fi
    # CodeDeploy shifts all aliases with the stack's own role.
    deploy_stack "$stack" WithCanary=true Release=fourth
    answer A9 "a canary ends: $(live_version)"
}

# A7: a stack that is lost, and a new one on its tables and its secret.
restore() {
    connect
    local values
    [[ -s $state.key ]] || new_key
    run aws cloudformation delete-stack --stack-name "$stack"
    run aws cloudformation wait stack-delete-complete --stack-name "$stack"
    read -ra values <<<"$(parameters)"
    deploy_stack "$stack" "${values[@]}" "ExistingResourcesTable=$SCIM_RESOURCES_TABLE" \
        "ExistingKeysTable=$SCIM_KEYS_TABLE" "ExistingPepper=$SCIM_PEPPER_SECRET_ID"
    answer A7 "a key of the old stack: $(status --header "@$state.key" "$(stage_url)/v2/Users?count=1")"
}

# A13: CloudFormation rolls the creation back, because Lambda cannot reserve this concurrency.
failure() {
    local values
    read -ra values <<<"$(parameters)"
    if deploy_stack "$failing" "${values[@]}" UsersConcurrency=1000000; then
        answer A13 "the stack did not fail"
    else
        answer A13 "left by a first deployment that failed: $(ask resources aws cloudformation describe-stack-events \
            --stack-name "$failing" --output text --query "StackEvents[?ResourceStatus=='DELETE_SKIPPED'].LogicalResourceId" | tr '\t' ' ')"
    fi
}

# --------------------------------------------------------------------------------------------------- cleanup

# delete_all STACK: deletes a stack, and what it retains. Each command may fail, because the stack may be incomplete.
delete_all() {
    local type id
    remember "$1"
    run aws cloudformation delete-stack --stack-name "$1"
    run aws cloudformation wait stack-delete-complete --stack-name "$1"
    while read -r type id; do
        # The event of a creation that begins has no id yet.
        [[ -n $id && $id != None ]] || continue
        case $type in
            AWS::DynamoDB::Table) run aws dynamodb delete-table --table-name "$id" --output text --query TableDescription.TableStatus ;;
            AWS::SecretsManager::Secret) run aws secretsmanager delete-secret --secret-id "$id" --force-delete-without-recovery --output text ;;
            AWS::ApiGateway::Account) answer left "the account's log role, which the stack set" ;;
        esac
    done < <(sort -u "$state")
}

cleanup() {
    local each
    for each in "$@"; do delete_all "$each" || true; done
    rm -f "$state" "$state".*
    [[ -n $dry_run ]] || cat "$answers"
}

# remember STACK: notes the resources of a stack. A stack that is deleted or rolled back does not list what it retained, so
# the events of the stack are read.
remember() {
    if [[ -n $dry_run ]]; then
        printf '%s\n' 'AWS::DynamoDB::Table <table>' 'AWS::SecretsManager::Secret <secret>' >"$state"
    else
        aws cloudformation describe-stack-events --stack-name "$1" --output text \
            --query 'StackEvents[?PhysicalResourceId].[ResourceType, PhysicalResourceId]' >>"$state" 2>/dev/null || true
    fi
}

# ------------------------------------------------------------------------------------------------------ run

(($#)) || set -- account build deploy suite_aws questions throttling release restore failure
[[ -n $dry_run ]] || { step sam_tools && command -v aws >/dev/null; }
export PATH=$cache/sam/bin:$PATH
[[ -n $dry_run ]] || : >"$answers"
echo "stack $stack in $region"
[[ -n ${SCIM_AWS_KEEP:-} ]] || trap 'cleanup "$stack" "$failing"' EXIT
for name in "$@"; do
    [[ -n $dry_run ]] || remember "$stack"
    if [[ -n $dry_run ]]; then echo "# $name" && "$name"; else step "$name"; fi
done

"""Checks the stack that `sam deploy` created in ministack, and prints the environment variables for its tests.

Standard error lists the features of template.yaml and whether ministack supports them. ministack does not create the
methods of the API, so this script adds them.

    AWS_ENDPOINT_URL=http://127.0.0.1:PORT python3 tests/deployed.py STACK
"""

import os, re, shlex, sys
import boto3

stack = sys.argv[1]
cloudformation, apigateway, dynamodb, functions, logs, secrets, iam, cloudwatch = map(
    boto3.client,
    ["cloudformation", "apigateway", "dynamodb", "lambda", "logs", "secretsmanager", "iam", "cloudwatch"],
)
resources = {
    resource["LogicalResourceId"]: resource
    for resource in cloudformation.describe_stack_resources(StackName=stack)["StackResources"]
}
outputs = {
    output["OutputKey"]: output["OutputValue"]
    for output in cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
}


def physical(logical):
    return resources[logical]["PhysicalResourceId"]


def of_type(name):
    return [logical for logical, resource in resources.items() if resource["ResourceType"] == name]


def table(logical):
    return dynamodb.describe_table(TableName=physical(logical))["Table"]


def function(logical):
    return functions.get_function_configuration(FunctionName=physical(logical))


api = physical("ScimApi")
paths = apigateway.get_resources(restApiId=api)["items"]
stage = apigateway.get_stage(restApiId=api, stageName="scim")
pepper = secrets.get_secret_value(SecretId=outputs["PepperSecret"])["SecretString"]
tables, lambdas, groups = map(of_type, ["AWS::DynamoDB::Table", "AWS::Lambda::Function", "AWS::Logs::LogGroup"])

# The features of template.yaml, each with a check that the stack has it.
features = {
    "every resource": lambda: all(resource["ResourceStatus"] == "CREATE_COMPLETE" for resource in resources.values()),
    "tables on demand": lambda: all(table(it)["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST" for it in tables),
    "time to live": lambda: all(
        dynamodb.describe_time_to_live(TableName=physical(it))["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
        for it in tables
    ),
    "point-in-time recovery": lambda: all(
        dynamodb.describe_continuous_backups(TableName=physical(it))["ContinuousBackupsDescription"][
            "PointInTimeRecoveryDescription"
        ]["PointInTimeRecoveryStatus"]
        == "ENABLED"
        for it in tables
        if it != "RequestsTable"
    ),
    "pepper of 64 characters": lambda: len(pepper) == 64 and pepper.isalnum(),
    "alias `live` of each function": lambda: all(
        functions.get_alias(FunctionName=physical(it), Name="live")["FunctionVersion"] != "$LATEST" for it in lambdas
    ),
    "memory and timeout": lambda: all(
        (function(it)["MemorySize"], function(it)["Timeout"]) >= (512, 28) for it in lambdas
    ),
    "log lines in JSON": lambda: all(function(it)["LoggingConfig"]["LogFormat"] == "JSON" for it in lambdas),
    "role of each function": lambda: len({function(it)["Role"] for it in lambdas}) == len(lambdas),
    "log retention": lambda: all(
        group.get("retentionInDays") == 90
        for it in groups
        for group in logs.describe_log_groups(logGroupNamePrefix=physical(it))["logGroups"]
    ),
    "API methods": lambda: all(resource.get("resourceMethods") for resource in paths),
    "gateway responses": lambda: any(
        response["responseType"] == "THROTTLED" and not response.get("defaultResponse")
        for response in apigateway.get_gateway_responses(restApiId=api)["items"]
    ),
    "throttling of the stage": lambda: stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 10,
    "access log": lambda: bool(stage["accessLogSettings"]["destinationArn"]),
    "dashboard": lambda: bool(cloudwatch.list_dashboards()["DashboardEntries"]),
    "alarms": lambda: bool(cloudwatch.describe_alarms()["MetricAlarms"]),
}

print(f"# {len(resources)} resources", file=sys.stderr)
for feature, is_present in features.items():
    try:
        found = "supported" if is_present() else "NOT SUPPORTED"
    except Exception as error:  # Any exception means that the emulator does not support the feature.
        found = f"NOT SUPPORTED ({type(error).__name__}: {error})"
    print(f"{found}: {feature}", file=sys.stderr)

# ministack supports every method of an OpenAPI document except `x-amazon-apigateway-any-method`.
body = cloudformation.get_template(StackName=stack)["TemplateBody"]["Resources"]["ScimApi"]["Properties"]["Body"]
for resource in paths:
    if resource["path"] in body["paths"]:
        method = {"restApiId": api, "resourceId": resource["id"], "httpMethod": "ANY"}
        integration = body["paths"][resource["path"]]["x-amazon-apigateway-any-method"]["x-amazon-apigateway-integration"]
        alias = re.search(r"\$\{(\w+Aliaslive)\}", integration["uri"]["Fn::Sub"])[1]
        uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{physical(alias)}/invocations"
        apigateway.put_method(**method, authorizationType="NONE")
        apigateway.put_integration(**method, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
apigateway.create_deployment(restApiId=api, stageName="scim")

endpoint = os.environ["AWS_ENDPOINT_URL"]
for name, value in {
    "SCIM_TEST_API": f"{endpoint}/_aws/execute-api/{api}/scim",
    "SCIM_TEST_PEPPER": pepper,
    "SCIM_RESOURCES_TABLE": outputs["ResourcesTable"],
    "SCIM_KEYS_TABLE": outputs["KeysTable"],
    "SCIM_REQUESTS_TABLE": outputs["RequestsTable"],
}.items():
    print(f"export {name}={shlex.quote(value)}")

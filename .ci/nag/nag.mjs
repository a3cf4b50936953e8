// Prints the findings of cdk-nag on CloudFormation templates, one JSON object a line: rule, resource, text.
//
//     node nag.mjs TEMPLATE...
import { App, Stack } from "aws-cdk-lib";
import { CfnInclude } from "aws-cdk-lib/cloudformation-include";
import { AwsSolutionsChecks, HIPAASecurityChecks, NIST80053R5Checks, PCIDSS321Checks, ServerlessChecks } from "cdk-nag";

const packs = [AwsSolutionsChecks, ServerlessChecks, NIST80053R5Checks, HIPAASecurityChecks, PCIDSS321Checks];
for (const [index, templateFile] of process.argv.slice(2).entries()) {
    const app = new App();
    const stack = new Stack(app, `stack${index}`);
    new CfnInclude(stack, "template", { templateFile });
    for (const Pack of packs) {
        for (const { ruleName, description, violatingResources } of new Pack(app).validateScope(app).violations) {
            for (const { constructPath } of violatingResources) {
                // A path is the stack, "template" and the logical id.
                console.log(JSON.stringify({ rule: ruleName, resource: constructPath.split("/")[2], text: description }));
            }
        }
    }
}

"""Compares the findings of cfn-lint-serverless, checkov and cdk-nag with .ci/findings.toml.

Fails on a finding that the file does not refuse, and on a refusal that no finding needs. The arguments are the reports:
cfn-lint's (JSON), checkov's (JSON) and cdk-nag's (JSON lines).

    python .ci/findings.py cfn-lint.json checkov.json nag.jsonl
"""

import json, re, sys, tomllib
from pathlib import Path

lint, checkov, nag = (Path(report).read_text() for report in sys.argv[1:])
REFUSALS = ".ci/findings.toml"


def resource(name):
    # SAM appends a digest to the names of versions and deployments.
    return re.sub(r"(Version|Deployment)[0-9a-f]{10}$", r"\1", name)


def pattern(refusal):
    return re.compile(re.escape(refusal).replace(r"\*", ".*"))


findings = {
    "cfn-lint-serverless": {
        (f"{it['Rule']['Id']} {resource((it['Location']['Path'] or ['', '-'])[1])}", it["Message"]) for it in json.loads(lint)
    },
    "checkov": {
        (f"{it['check_id']} {resource(it['resource'].split('.')[-1])}", it["check_name"])
        for it in json.loads(checkov)["results"]["failed_checks"]
    },
    "cdk-nag": {
        (f"{it['rule']} {resource(it['resource'])}", it["text"]) for it in map(json.loads, nag.splitlines())
    },
}
with open(REFUSALS, "rb") as file:
    refusals = {key: pattern(key) for key in tomllib.load(file)["refused"]}

unused, unexplained = set(refusals), 0
for tool, found in findings.items():
    for finding, text in sorted(found):
        matching = {key for key, expression in refusals.items() if expression.fullmatch(finding)}
        unused -= matching
        if not matching:
            unexplained += 1
            print(f"{tool}: {finding}: {text}")
for key in sorted(unused):
    print(f"{REFUSALS}: no finding needs {key!r}")

counts = ", ".join(f"{tool} {len(found)}" for tool, found in findings.items())
print(f"summary: refused: {counts}; unexplained {unexplained}")
# A tool without any finding did not run.
sys.exit(unexplained != 0 or bool(unused) or not all(findings.values()))

"""Prints template.yaml as SAM translates it, which is what CloudFormation receives. `PARAMETER=VALUE` sets a parameter.

    ~/.cache/scim-ci/sam/bin/python .ci/translate.py WithCanary=true >translated.json
"""

import json, sys
from pathlib import Path

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse


class Policies:
    """The policies of AWS that SAM may attach to roles. The template leads to none of them."""

    def load(self):
        return {"AWSCodeDeployRoleForLambda": "arn:aws:iam::aws:policy/service-role/AWSCodeDeployRoleForLambda"}


template = yaml_parse(Path("template.yaml").read_text())
values = {name: of["Default"] for name, of in template["Parameters"].items()} | dict(it.split("=", 1) for it in sys.argv[1:])
for name, value in values.items():
    template["Parameters"][name]["Default"] = value
for resource in template["Resources"].values():
    # `sam deploy` uploads the code and the nested templates, and puts their addresses here.
    properties = resource["Properties"]
    if "CodeUri" in properties:
        properties["CodeUri"] = f"s3://bucket/{properties['CodeUri']}"
    if "TemplateURL" in properties:
        properties["TemplateURL"] = f"https://s3.amazonaws.com/bucket/{properties['TemplateURL']}"
json.dump(transform(template, values, Policies()), sys.stdout, indent=1)

"""Prints a SAM template as the CloudFormation that AWS generates from it, so that cfn-lint sees every resource. Works offline."""

import json
import sys
from types import SimpleNamespace

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

template = yaml_parse(open(sys.argv[1]))
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"  # sam uploads the code before AWS transforms the template
no_managed_policies = SimpleNamespace(load=dict)
print(json.dumps(transform(template, {}, no_managed_policies), indent=2))

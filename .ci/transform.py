"""Prints a SAM template as the plain CloudFormation that AWS makes of it, so that cfn-lint sees every resource. Asks nobody."""

import json
import sys
from types import SimpleNamespace

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

template = yaml_parse(open(sys.argv[1]))
template["Globals"]["Function"]["CodeUri"] = "s3://bucket/code"  # the code is uploaded before AWS transforms the template
no_managed_policies = SimpleNamespace(load=dict)
print(json.dumps(transform(template, {}, no_managed_policies), indent=2))

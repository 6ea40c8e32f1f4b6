"""Deploys the built template to an emulated AWS account on this machine and tests the deployed stack: webhooks through the API, the
other functions by invocation, with every event in events/.

    deployed.py BUILT_TEMPLATE COMMAND...

COMMAND starts a fake Twilio and prints its base URL on the first line. The functions are the binaries that sam would deploy, with the
environment and the role from the template. The emulator checks every AWS call against the policies of the role.
"""

import base64
import contextlib
import fnmatch
import hashlib
import hmac
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as xml

import boto3
import botocore
from samtranslator.yaml_helper import yaml_parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
ACCOUNT_SID = "AC00000000000000000000000000000001"
AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
API_KEY_SID, API_KEY_SECRET = "SK00000000000000000000000000000001", "local-api-key-secret"
CALL_AGAIN = "#rc=3&rp=all"  # as in shared/src/twilio/url.rs

# 2/1h instead of the default, so that two sends are accepted without a wait and the third is refused.
PARAMETERS = {"TwilioFrom": "+15005550006", "PhoneLimit": "2/1h", "InboundEvents": "on", "AlarmEmail": "ops@example.com"}

FUNCTIONS = ("InboundSms", "DeliveryStatus", "SendCode", "CheckCode", "Checklist")

NOT_TESTED = """\
not tested here, because the emulator does not implement it:
  the API routes as defined in the template (created here by API calls), throttling and the access log of the API
  the filter of the pipe and the events that it sends: the pipe is created with its stream, role and queue, but forwards nothing
  that alarms fire, that the dashboard shows data, and that CloudWatch extracts the metrics from the logs
  expiry of items by expires_at, deletion protection and point-in-time recovery of the table
  the role conditions on table keys, except that the items changed by each invocation are compared with them here
  the JSON log format, Lambda timeouts, freezing between events, and retries of asynchronous invocations
  Twilio itself, and policy evaluation by AWS"""


def main():
    template, *twilio_command = sys.argv[1:]
    # Exit through the `finally` blocks, which stop the started processes.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as running:
        home = pathlib.Path(running.enter_context(tempfile.TemporaryDirectory()))
        twilio = FakeTwilio(running.enter_context(started(twilio_command, stdout=subprocess.PIPE, text=True)))
        # Built from scratch, so that no AWS profile or variable of the caller can select a real account.
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "TMPDIR": str(home),
            "AWS_ACCESS_KEY_ID": "emulated",
            "AWS_SECRET_ACCESS_KEY": "emulated",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
            "SAM_CLI_TELEMETRY": "0",
        }
        log = home / "emulator.log"
        running.enter_context(emulator(environment, home, log))
        try:
            template, skipped = adapt_for_emulator(template)
            deploy(template, environment, PARAMETERS, twilio.url)
            stack = Stack("tollgate", environment)
            check(stack, twilio)
            with checked("a parameter change alone publishes new versions"):
                expect(stack.setting("SendCode", "PHONE_LIMIT") == PARAMETERS["PhoneLimit"], "a different limit")
                deploy(template, environment, {**PARAMETERS, "PhoneLimit": "7/1h"}, twilio.url)
                expect(stack.setting("SendCode", "PHONE_LIMIT") == "7/1h", "the previous limit")
                expect(stack.setting("CheckCode", "PHONE_LIMIT") == "7/1h", "the previous limit")
        except BaseException:
            print(f"\nEnd of the emulator log:\n{log.read_text()[-6000:]}", file=sys.stderr)
            raise
    print(NOT_TESTED, *skipped, sep="\n  ")


# ── Checks ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def check(stack, twilio):
    for function in FUNCTIONS:
        print(f"  {function}: {stack.zipped_bytes(function) / 1e6:.1f} MB zipped")

    with checked("a signed message gets a reply"):
        first = stack.webhook("inbound-sms")
        expect(first["statusCode"] == 200 and content_type(first) == "text/xml", first)
        expect(len(replies(first)) == 1, first)
    with checked("a forged message is rejected"):
        forged = stack.webhook("inbound-sms-forged")
        expect(forged["statusCode"] == 403, forged)
    with checked("the API accepts a request signed for its URL and rejects a modified one"):
        form = {"AccountSid": ACCOUNT_SID, "Body": "is my order on its way?", "From": "+14155550177", "MessageSid": f"SM{1:032x}", "To": "+15005550006"}
        expect(stack.post("/sms", form)[0] == 200, stack.post("/sms", form))
        expect(stack.keys("message#") != [], stack.keys())
        status, text = stack.post("/sms", form, change={"Body": "Forged"})
        expect(status == 403 and "not signed by Twilio" in text, [status, text])
        expect(stack.post("/elsewhere", form)[0] == 404, "a response from an unknown path")
        stack.delete_items("message#")
    with checked("a repeated message gets the same response and is stored once"):
        again = stack.webhook("inbound-sms-repeat")
        expect((again["statusCode"], body(again)) == (200, body(first)), again)
        expect(len(stack.keys("message#")) == 1, stack.keys("message#"))
    with checked("emoji are accepted"):
        emoji = stack.webhook("inbound-sms-emoji")
        expect(emoji["statusCode"] == 200, emoji)
        expect(len(stack.keys("message#")) == 2, stack.keys("message#"))

    with checked("a code is sent"):
        sent = stack.send_code("send-code")
        expect_sent(sent)
        expect(len(twilio.messages()) == 1, twilio.messages())
    with checked("a code chosen by the app is sent once per idempotency key"):
        chosen = stack.send_code("send-code-with-code")
        expect_sent(chosen)
        expect("493027" in json.dumps(twilio.messages()), twilio.messages())
        repeated = stack.send_code("send-code-with-code")
        expect(repeated["message_sid"] == chosen["message_sid"] and repeated["replayed"], [chosen, repeated])
        expect(repeated["verification"] == chosen["verification"], [chosen, repeated])
        expect(len(twilio.messages()) == 2, twilio.messages())
    with checked("the status callback URL points to this API"):
        expected = f"https://{stack.api_host}/sms/status{CALL_AGAIN}"
        expect(stack.setting("SendCode", "STATUS_CALLBACK") == expected, stack.setting("SendCode", "STATUS_CALLBACK"))
    with checked("each delivery report is recorded once, and the final status is kept"):
        sid = chosen["message_sid"]
        for state in ("sent", "delivered", "delivered", "queued"):
            report = {"AccountSid": ACCOUNT_SID, "From": "+15005550006", "MessageSid": sid, "MessageStatus": state, "To": "+14155550123"}
            expect(stack.post("/sms/status", report) == (204, ""), state)
        item = stack.items()[f"delivery#{sid}"]
        expect((item["status"]["S"], item["country"]["S"]) == ("delivered", "US"), item)
        expect(stack.post("/sms/status", report, change={"MessageStatus": "failed"})[0] == 403, "a forged report was accepted")
        expect(stack.logs().count('"Delivered":1') == 1, "Delivered not counted exactly once")
    with checked("the delivery reports in events/ get the expected responses"):
        for event, status in (("delivery-status", 204), ("delivery-status-late", 204), ("delivery-status-undelivered", 204), ("delivery-status-forged", 403)):
            response = stack.invoke(stack.client, "DeliveryStatus", event)
            expect(response["statusCode"] == status, [event, response])
        statuses = sorted(item["status"]["S"] for key, item in stack.items().items() if key.startswith("delivery#"))
        expect(statuses == ["delivered", "delivered", "undelivered"], statuses)
    with checked("a wrong code is incorrect and uses up an attempt"):
        wrong = stack.check_code("check-code-wrong")
        expect((wrong["status"], wrong["attempts_left"]) == ("incorrect", 4), wrong)
        expect(wrong["next_send_at"], wrong)
    with checked("the right code is approved once"):
        expect(stack.check_code("check-code") == {"status": "approved"}, "no approval")
        again = stack.check_code("check-code")
        expect(again["status"] != "approved", again)
    with checked("the deployed limit is enforced"):
        refused = stack.send_code("send-code")
        expect((refused["status"], refused["reason"], refused["rule"]) == ("refused", "phone_limit", "2/1h"), refused)
        expect(0 < refused["retry_after"] <= 3600, refused)
    with checked("STOP gets no reply and opts the number out of codes"):
        stop = stack.webhook("inbound-sms-stop")
        expect(stop["statusCode"] == 200 and replies(stop) == [], stop)
        refused = stack.send_code("send-code")
        expect((refused["status"], refused["reason"]) == ("refused", "opted_out"), refused)
        expect(len(twilio.messages()) == 2, twilio.messages())

    with checked("the checklist audits the account and the stack and reports failures"):
        report = stack.invoke(stack.client, "Checklist", "checklist")
        results = {row["check"]: row["result"] for row in report["rows"]}
        print("  " + ", ".join(f"{check}: {result}" for check, result in results.items()))
        for check in ("credentials", "account", "limits", "geo_permissions", "clock", "concurrency"):
            expect(results.get(check) == "pass", report)
        # The number at the fake Twilio has another webhook, and the emulator does not report point-in-time recovery.
        expect(results["webhooks"] == "fail" and "table" in results, report)
    with checked("the logs contain the metrics"):
        lines = [json.loads(line.split(": ", 1)[1]) for line in stack.logs().splitlines() if '"_aws"' in line]
        expect(all(line["Stack"] == "tollgate" for line in lines), lines)
        names = {name for line in lines for name in line}
        for name in ("Sent", "Refused", "Verified", "CheckIncorrect", "Delivered", "Undelivered", "DeliveryErrors", "ForgedWebhooks", "ChecklistFailures"):
            expect(name in names, f"{name} is not among {names}")
    with checked("the alarms notify the topic, and the pipe reads the table's stream"):
        alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        expect({alarm["AlarmName"] for alarm in alarms} >= {"tollgate-forged-webhooks", "tollgate-refusals", "tollgate-spend"}, alarms)
        expect(all(alarm["AlarmActions"] == [stack.ids["AlarmTopic"]] for alarm in alarms), alarms)
        stream = stack.client("dynamodb").describe_table(TableName=stack.ids["Table"])["Table"]["LatestStreamArn"]
        pipe = stack.client("pipes").describe_pipe(Name=stack.ids["InboundPipe"])
        expect(pipe["Source"] == stream and pipe["Target"].endswith(":event-bus/default"), pipe)

    with checked("keys and logs contain no personal data and no secrets"):
        keys, logs = "\n".join(stack.keys()), stack.logs()
        for function in FUNCTIONS:
            expect(f"{function}Logs: " in logs, f"no logs of {function}")
        for text in ("4155550123", "203.0.113.7", "493027", "is my order", AUTH_TOKEN, API_KEY_SECRET):
            expect(text not in keys, f"{text} in a key of the table")
            expect(text not in logs, f"{text} in the logs")
    with checked("each role allows what its function does and nothing else"):
        table_actions = ("PutItem", "GetItem", "BatchGetItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query", "Scan")
        for role, secrets, actions in (
            ("InboundSmsRole", {"HmacKey", "TwilioAuthToken"}, {"BatchGetItem", "PutItem", "UpdateItem"}),
            ("SendCodeRole", {"HmacKey", "TwilioApiKey"}, {"BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"}),
            ("CheckCodeRole", {"HmacKey"}, {"BatchGetItem", "UpdateItem"}),
            ("DeliveryStatusRole", {"TwilioAuthToken"}, {"UpdateItem"}),
            ("ChecklistRole", {"TwilioAuthToken", "TwilioApiKey"}, set()),
        ):
            for secret in ("HmacKey", "TwilioAuthToken", "TwilioApiKey"):
                allowed = stack.allows(role, "secretsmanager:GetSecretValue", secret)
                expect(allowed == (secret in secrets), f"{role}, allowed to read {secret}: {allowed}")
                expect(not stack.allows(role, "secretsmanager:PutSecretValue", secret), f"{role}, allowed to write {secret}")
            for action in table_actions:
                allowed = stack.allows(role, f"dynamodb:{action}", "Table")
                expect(allowed == (action in actions), f"{role}, allowed to call {action}: {allowed}")
            allowed = stack.allows(role, "lambda:GetAccountSettings", "*")
            expect(allowed == (role == "ChecklistRole"), f"{role}, allowed to read Lambda's quota: {allowed}")
            for function in FUNCTIONS:
                allowed = stack.allows(role, "logs:PutLogEvents", f"{function}Logs")
                expect(allowed == (role == f"{function}Role"), f"{role}, allowed to write the logs of {function}: {allowed}")
    with checked("the app can send and check codes and invoke nothing else"):
        for function in ("InboundSms", "DeliveryStatus", "Checklist"):
            try:
                stack.invoke(stack.app, function, "checklist")
            except botocore.exceptions.ClientError as error:
                expect(error.response["Error"]["Code"] == "AccessDeniedException", error)
            else:
                raise AssertionError(f"the app invoked {function}")


@contextlib.contextmanager
def checked(name):
    try:
        yield
    except Exception:
        print(f"  FAILED: {name}", flush=True)
        raise
    print(f"  ok: {name}", flush=True)


def expect(condition, seen):
    if not condition:
        raise AssertionError(f"got {seen}")


def expect_sent(response):
    expect(response["status"] == "sent" and re.fullmatch("SM[0-9a-fA-F]{32}", response["message_sid"]), response)
    expect(response["expires_at"] and response["next_send_at"], response)


def body(response):
    return base64.b64decode(response["body"]).decode() if response.get("isBase64Encoded") else response["body"]


def content_type(response):
    headers = {name.lower(): value for name, value in response["headers"].items()}
    return headers["content-type"].split(";")[0]


def replies(response):
    twiml = xml.fromstring(body(response).encode())
    expect(twiml.tag == "Response", response)
    return list(twiml)


# ── The stack and its surroundings ────────────────────────────────────────────────────────────────────────────────────────────


class Stack:
    """The deployed stack, with its resources by their names in the template."""

    def __init__(self, name, environment):
        self.environment = environment
        self.client = self.client_factory(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        resources = self.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        self.ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
        self.app = self.client_factory(*self.app_access_key())
        self.api_host = f"{self.ids['HttpApi']}.execute-api.us-east-1.amazonaws.com"
        for path, function in (("/sms", "InboundSms"), ("/sms/status", "DeliveryStatus")):
            self.route(path, function)
        self.fill_secret("TwilioAuthToken", accountSid=ACCOUNT_SID, authToken=AUTH_TOKEN)
        self.fill_secret("TwilioApiKey", accountSid=ACCOUNT_SID, apiKeySid=API_KEY_SID, apiKeySecret=API_KEY_SECRET)

    def client_factory(self, key_id, key):
        session = boto3.Session(key_id, key, region_name=self.environment["AWS_DEFAULT_REGION"])
        return lambda service: session.client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])

    def app_access_key(self):
        """The access key of a user that has only the InvokeGate policy, like the app's back end."""
        iam = self.client("iam")
        iam.create_user(UserName="app")
        iam.attach_user_policy(UserName="app", PolicyArn=self.ids["InvokeGate"])
        key = iam.create_access_key(UserName="app")["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def fill_secret(self, secret, **values):
        self.client("secretsmanager").put_secret_value(SecretId=self.ids[secret], SecretString=json.dumps(values))

    def route(self, path, function):
        """Creates a route as the template defines it; the emulator ignores the definition."""
        api = self.client("apigatewayv2")
        integration = api.create_integration(
            ApiId=self.ids["HttpApi"],
            IntegrationType="AWS_PROXY",
            IntegrationUri=self.ids[f"{function}Aliaslive"],
            PayloadFormatVersion="2.0",
        )
        target = f"integrations/{integration['IntegrationId']}"
        api.create_route(ApiId=self.ids["HttpApi"], RouteKey=f"POST {path}", Target=target)

    def post(self, path, form, change=None):
        """Posts a form to the API, signed as Twilio signs it. `change` modifies the form after signing."""
        signed = f"https://{self.api_host}{path}" + "".join(name + form[name] for name in sorted(form))
        signature = base64.b64encode(hmac.new(AUTH_TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        body = urllib.parse.urlencode({**form, **(change or {})}).encode()
        request = urllib.request.Request(self.environment["AWS_ENDPOINT_URL"] + path, body)
        request.add_header("Host", self.api_host)
        request.add_header("X-Twilio-Signature", signature)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def setting(self, function, variable):
        """The value of an environment variable in the version behind the alias."""
        alias = self.client("lambda").get_alias(FunctionName=self.ids[function], Name="live")
        version = {"FunctionName": self.ids[function], "Qualifier": alias["FunctionVersion"]}
        configuration = self.client("lambda").get_function_configuration(**version)
        return configuration["Environment"]["Variables"][variable]

    def delete_items(self, prefix):
        for key in self.keys(prefix):
            self.client("dynamodb").delete_item(TableName=self.ids["Table"], Key={"pk": {"S": key}})

    def webhook(self, event):
        return self.invoke(self.client, "InboundSms", event)

    def send_code(self, event):
        return self.invoke(self.app, "SendCode", event)

    def check_code(self, event):
        return self.invoke(self.app, "CheckCode", event)

    def invoke(self, caller, function, event):
        payload = (ROOT / "events" / f"{event}.json").read_bytes()
        before = self.items()
        response = caller("lambda").invoke(FunctionName=self.ids[f"{function}Aliaslive"], Payload=payload)
        result = json.load(response["Payload"])
        if "FunctionError" in response:
            raise RuntimeError(f"{function} failed on {event}: {result}\n{self.logs()[-3000:]}")
        after = self.items()
        for key in {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}:
            allowed = any(fnmatch.fnmatchcase(key, pattern) for pattern in self.allowed_keys(f"{function}Role"))
            expect(allowed, f"{function} changing {key}, which its role does not allow")
        return result

    def zipped_bytes(self, function):
        return self.client("lambda").get_function_configuration(FunctionName=self.ids[function])["CodeSize"]

    def items(self):
        items = self.client("dynamodb").scan(TableName=self.ids["Table"])["Items"]
        return {item["pk"]["S"]: item for item in items}

    def keys(self, prefix=""):
        return [key for key in self.items() if key.startswith(prefix)]

    def logs(self):
        lines = []
        for group in (f"{function}Logs" for function in FUNCTIONS):
            for page in self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=self.ids[group]):
                lines += [f"{group}: {event['message']}" for event in page["events"]]
        return "\n".join(lines)

    def allowed_keys(self, role):
        """The key patterns in the conditions of a role. The emulator does not enforce these conditions."""
        iam, role = self.client("iam"), self.ids[role]
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        policies = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        conditions = [statement.get("Condition", {}) for policy in policies for statement in policy["Statement"]]
        keys = [condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", []) for condition in conditions]
        return [key for patterns in keys for key in patterns]

    def allows(self, role, action, resource):
        if resource == "Table":
            arn = self.client("dynamodb").describe_table(TableName=self.ids["Table"])["Table"]["TableArn"]
        elif resource == "*":
            arn = resource
        elif resource.endswith("Logs"):
            groups = self.client("logs").describe_log_groups(logGroupNamePrefix=self.ids[resource])["logGroups"]
            arn = groups[0]["arn"]
        else:
            arn = self.client("secretsmanager").describe_secret(SecretId=self.ids[resource])["ARN"]
        iam = self.client("iam")
        role_arn = iam.get_role(RoleName=self.ids[role])["Role"]["Arn"]
        response = iam.simulate_principal_policy(PolicySourceArn=role_arn, ActionNames=[action], ResourceArns=[arn])
        return response["EvaluationResults"][0]["EvalDecision"] == "allowed"


class FakeTwilio:
    def __init__(self, process):
        self.url = process.stdout.readline().strip()
        if not self.url.startswith("http://127.0.0.1:"):
            raise RuntimeError(f"expected the URL of the fake Twilio on its first line, got {self.url!r}")

    def messages(self):
        request = urllib.request.Request(f"{self.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json")
        credentials = base64.b64encode(f"{API_KEY_SID}:{API_KEY_SECRET}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["messages"]


def adapt_for_emulator(template):
    """A copy of the template without what the emulator does not support, and a description of each omission."""
    template = pathlib.Path(template)
    copy = yaml_parse(template.read_text())
    skipped = ["gradual deployments: the emulator has no CodeDeploy, so the alias moves immediately"]
    del copy["Globals"]["Function"]["DeploymentPreference"]
    for name, resource in list(copy["Resources"].items()):
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
            skipped.append(f"{name}, which uses metric math: the emulator supports only alarms on a single metric")
            del copy["Resources"][name]
    adapted = template.with_name("emulated.json")
    adapted.write_text(json.dumps(copy, indent=2))
    return adapted, skipped


def deploy(template, environment, parameters, twilio_url):
    overrides = {**parameters, "TwilioBaseUrl": twilio_url}
    command = ["sam", "deploy", "--template-file", template, "--config-file", ROOT / "samconfig.toml", "--no-confirm-changeset"]
    command += ["--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"sam deploy failed:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def emulator(environment, home, log):
    """Runs ministack, which starts the functions as processes, on loopback only and with IAM enforcement."""
    url = environment["AWS_ENDPOINT_URL"]
    settings = {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": url.rsplit(":", 1)[1],
        "AUTH": "true",
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_HOST": "us-east-1.amazonaws.com",
        "MINISTACK_ACCOUNT_ID": "123456789012",
        "STATE_DIR": str(home / "state"),
        "SERVICES": "s3,cloudformation,dynamodb,secretsmanager,lambda,iam,sts,logs,apigateway,apigatewayv2,appconfig,cloudwatch,events,"
        "pipes,sns,sqs",
    }
    command = pathlib.Path(sys.executable).parent / "ministack"
    with log.open("w") as output, started([command], env={**environment, **settings}, stdout=output, stderr=output) as process:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/_ministack/health", timeout=1).close()
                break
            if process.poll() is not None:
                raise RuntimeError(f"the emulator exited:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        else:
            raise RuntimeError("the emulator did not start within 30 s")
        yield


@contextlib.contextmanager
def started(command, **options):
    """Runs a process in its own process group, and stops the whole group at the end."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
    finally:
        for stop in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, stop)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()

"""Deploys the built template into an AWS account emulated on this machine, and uses what was deployed: webhooks through its API, the
other functions by invocation, with every event in events/.

    deployed.py BUILT_TEMPLATE COMMAND...

COMMAND starts a fake Twilio and prints its base URL first. The functions are the binaries that would be deployed, with the
environment and the role that the template gives them: the emulator checks every call they make against the role's policies.
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

# Two an hour instead of the default's one in 30 seconds, so that both kinds of send go through and the third is one too many.
PARAMETERS = {"TwilioFrom": "+15005550006", "PhoneLimit": "2/1h", "InboundEvents": "on", "AlarmEmail": "ops@example.com"}

FUNCTIONS = ("InboundSms", "DeliveryStatus", "SendCode", "CheckCode", "Checklist")

NOT_SHOWN = """\
not shown here, because the emulator doesn't make it:
  the routes of the API as the template has them (made here by calls of its API), its throttling and its access log
  the pipe's filter and the event that it makes: it stands with its stream, role and queue, but hands nothing on
  that alarms go off, that the dashboard shows anything, and that CloudWatch reads the metrics in the logs
  deletion by expires_at, deletion protection and point-in-time recovery of the table
  the condition of the roles on the table's keys, but for the items that an invocation changed, which are held to it here
  the JSON log format, Lambda's timeouts, its freezing between events and its retries of asynchronous calls
  Twilio itself, and AWS's own judgement of the policies"""


def main():
    template, *twilio_command = sys.argv[1:]
    # A way out through the `finally` blocks, which end what was started here.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: sys.exit(1))
    with contextlib.ExitStack() as running:
        home = pathlib.Path(running.enter_context(tempfile.TemporaryDirectory()))
        twilio = FakeTwilio(running.enter_context(started(twilio_command, stdout=subprocess.PIPE, text=True)))
        # Made from nothing, so that neither a profile nor a variable of the person who runs this can point at a real account.
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
            template, left_out = emulated(template)
            deploy(template, environment, PARAMETERS, twilio.url)
            stack = Stack("tollgate", environment)
            check(stack, twilio)
            with checked("a change of a setting alone reaches those who call the functions"):
                expect(stack.setting("SendCode", "PHONE_LIMIT") == PARAMETERS["PhoneLimit"], "another limit")
                deploy(template, environment, {**PARAMETERS, "PhoneLimit": "7/1h"}, twilio.url)
                expect(stack.setting("SendCode", "PHONE_LIMIT") == "7/1h", "the limit of before")
                expect(stack.setting("CheckCode", "PHONE_LIMIT") == "7/1h", "the limit of before")
        except BaseException:
            print(f"\nThe emulator's last words:\n{log.read_text()[-6000:]}", file=sys.stderr)
            raise
    print(NOT_SHOWN, *left_out, sep="\n  ")


# ── What is checked ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def check(stack, twilio):
    for function in FUNCTIONS:
        print(f"  {function}: {stack.zipped_bytes(function) / 1e6:.1f} MB zipped")

    with checked("a signed message is answered"):
        first = stack.webhook("inbound-sms")
        expect(first["statusCode"] == 200 and content_type(first) == "text/xml", first)
        expect(len(replies(first)) == 1, first)
    with checked("a forged one is not"):
        forged = stack.webhook("inbound-sms-forged")
        expect(forged["statusCode"] == 403, forged)
    with checked("through the API, what Twilio signed for its address is taken, and what was changed on the way is not"):
        form = {"AccountSid": ACCOUNT_SID, "Body": "is my order on its way?", "From": "+14155550177", "MessageSid": f"SM{1:032x}", "To": "+15005550006"}
        expect(stack.post("/sms", form)[0] == 200, stack.post("/sms", form))
        expect(stack.keys("message#") != [], stack.keys())
        status, text = stack.post("/sms", form, change={"Body": "Forged"})
        expect(status == 403 and "not signed by Twilio" in text, [status, text])
        expect(stack.post("/elsewhere", form)[0] == 404, "an answer from a path that is none")
        stack.forget("message#")
    with checked("a repeated one gets the same answer and is stored once"):
        again = stack.webhook("inbound-sms-repeat")
        expect((again["statusCode"], body(again)) == (200, body(first)), again)
        expect(len(stack.keys("message#")) == 1, stack.keys("message#"))
    with checked("emoji arrive"):
        emoji = stack.webhook("inbound-sms-emoji")
        expect(emoji["statusCode"] == 200, emoji)
        expect(len(stack.keys("message#")) == 2, stack.keys("message#"))

    with checked("a code is sent"):
        sent = stack.send_code("send-code")
        expect_sent(sent)
        expect(len(twilio.messages()) == 1, twilio.messages())
    with checked("a code of the app's own is sent, and once for one idempotency key"):
        own = stack.send_code("send-code-with-code")
        expect_sent(own)
        expect("493027" in json.dumps(twilio.messages()), twilio.messages())
        repeated = stack.send_code("send-code-with-code")
        expect(repeated == own, [own, repeated])
        expect(len(twilio.messages()) == 2, twilio.messages())
    with checked("Twilio is told to report to this API how a message fares"):
        expect(stack.setting("SendCode", "STATUS_CALLBACK") == f"https://{stack.api_host}/sms/status", "another address")
    with checked("its reports are taken, each once, and settle on the last state"):
        sid = own["message_sid"]
        for state in ("sent", "delivered", "delivered", "queued"):
            report = {"AccountSid": ACCOUNT_SID, "From": "+15005550006", "MessageSid": sid, "MessageStatus": state, "To": "+14155550123"}
            expect(stack.post("/sms/status", report) == (204, ""), state)
        item = stack.items()[f"delivery#{sid}"]
        expect((item["status"]["S"], item["country"]["S"]) == ("delivered", "US"), item)
        expect(stack.post("/sms/status", report, change={"MessageStatus": "failed"})[0] == 403, "a forged report was taken")
        expect(stack.logs().count('"Delivered":1') == 1, "it is counted once")
    with checked("the reports in events/ are answered"):
        for event, status in (("delivery-status", 204), ("delivery-status-late", 204), ("delivery-status-undelivered", 204), ("delivery-status-forged", 403)):
            answer = stack.invoke(stack.client, "DeliveryStatus", event)
            expect(answer["statusCode"] == status, [event, answer])
        settled = sorted(item["status"]["S"] for key, item in stack.items().items() if key.startswith("delivery#"))
        expect(settled == ["delivered", "delivered", "undelivered"], settled)
    with checked("a wrong code is refused, and costs an attempt"):
        wrong = stack.check_code("check-code-wrong")
        expect((wrong["status"], wrong["attempts_left"]) == ("incorrect", 4), wrong)
        expect(wrong["next_send_at"], wrong)
    with checked("the right one is approved, and once"):
        expect(stack.check_code("check-code") == {"status": "approved"}, "no approval")
        again = stack.check_code("check-code")
        expect(again["status"] != "approved", again)
    with checked("the limit that the stack was deployed with holds"):
        refused = stack.send_code("send-code")
        expect((refused["status"], refused["reason"], refused["rule"]) == ("refused", "phone_limit", "2/1h"), refused)
        expect(0 < refused["retry_after"] <= 3600, refused)
    with checked("STOP is heard: no answer, and no code any more"):
        stop = stack.webhook("inbound-sms-stop")
        expect(stop["statusCode"] == 200 and replies(stop) == [], stop)
        refused = stack.send_code("send-code")
        expect((refused["status"], refused["reason"]) == ("refused", "opted_out"), refused)
        expect(len(twilio.messages()) == 2, twilio.messages())

    with checked("the checklist looks at the account and at the stack, and says what is wrong"):
        report = stack.invoke(stack.client, "Checklist", "checklist")
        results = {row["check"]: row["result"] for row in report["rows"]}
        print("  " + ", ".join(f"{check}: {result}" for check, result in results.items()))
        for check in ("credentials", "account", "limits", "geo_permissions", "clock"):
            expect(results.get(check) == "pass", report)
        # The number's webhook at the stand-in is not this stack's, and the emulator doesn't tell of recovery.
        expect(results["webhooks"] == "fail" and "table" in results, report)
    with checked("what happened is in the logs as metrics"):
        counted = [json.loads(line.split(": ", 1)[1]) for line in stack.logs().splitlines() if '"_aws"' in line]
        expect(all(line["Stack"] == "tollgate" for line in counted), counted)
        names = {name for line in counted for name in line}
        for name in ("Sent", "Refused", "Verified", "CheckIncorrect", "Delivered", "Undelivered", "DeliveryErrors", "ForgedWebhooks", "ChecklistFailures"):
            expect(name in names, f"{name} is not among {names}")
    with checked("the alarms that stand tell the topic, and the pipe reads the table's stream"):
        alarms = stack.client("cloudwatch").describe_alarms()["MetricAlarms"]
        expect({alarm["AlarmName"] for alarm in alarms} >= {"tollgate-forged-webhooks", "tollgate-refusals", "tollgate-spend"}, alarms)
        expect(all(alarm["AlarmActions"] == [stack.ids["AlarmTopic"]] for alarm in alarms), alarms)
        stream = stack.client("dynamodb").describe_table(TableName=stack.ids["Table"])["Table"]["LatestStreamArn"]
        pipe = stack.client("pipes").describe_pipe(Name=stack.ids["InboundPipe"])
        expect(pipe["Source"] == stream and pipe["Target"].endswith(":event-bus/default"), pipe)

    with checked("keys and logs tell nothing about anybody"):
        keys, logs = "\n".join(stack.keys()), stack.logs()
        for function in FUNCTIONS:
            expect(f"{function}Logs: " in logs, f"no logs of {function}")
        for text in ("4155550123", "203.0.113.7", "493027", "is my order", AUTH_TOKEN, API_KEY_SECRET):
            expect(text not in keys, f"{text} in a key of the table")
            expect(text not in logs, f"{text} in the logs")
    with checked("each role may do what its function does, and no more"):
        table = ("PutItem", "GetItem", "BatchGetItem", "UpdateItem", "DeleteItem", "ConditionCheckItem", "Query", "Scan")
        for role, own_secrets, own_actions in (
            ("InboundSmsRole", {"HmacKey", "TwilioAuthToken"}, {"PutItem", "UpdateItem"}),
            ("SendCodeRole", {"HmacKey", "TwilioApiKey"}, {"BatchGetItem", "PutItem", "UpdateItem", "DeleteItem"}),
            ("CheckCodeRole", {"HmacKey"}, {"UpdateItem"}),
            ("DeliveryStatusRole", {"TwilioAuthToken"}, {"UpdateItem"}),
            ("ChecklistRole", {"TwilioAuthToken", "TwilioApiKey"}, set()),
        ):
            for secret in ("HmacKey", "TwilioAuthToken", "TwilioApiKey"):
                may = stack.may(role, "secretsmanager:GetSecretValue", secret)
                expect(may == (secret in own_secrets), f"{role}, allowed to read {secret}: {may}")
                expect(not stack.may(role, "secretsmanager:PutSecretValue", secret), f"{role} able to write {secret}")
            for action in table:
                may = stack.may(role, f"dynamodb:{action}", "Table")
                expect(may == (action in own_actions), f"{role}, allowed to {action}: {may}")
            for function in FUNCTIONS:
                may = stack.may(role, "logs:PutLogEvents", f"{function}Logs")
                expect(may == (role == f"{function}Role"), f"{role}, allowed to write the logs of {function}: {may}")
    with checked("the app may ask for codes and have them checked, and nothing else"):
        for function in ("InboundSms", "DeliveryStatus", "Checklist"):
            try:
                stack.invoke(stack.app, function, "checklist")
            except botocore.exceptions.ClientError as error:
                expect(error.response["Error"]["Code"] == "AccessDeniedException", error)
            else:
                raise AssertionError(f"the app could invoke {function}")


@contextlib.contextmanager
def checked(sentence):
    try:
        yield
    except Exception:
        print(f"  FAILED: {sentence}", flush=True)
        raise
    print(f"  ok: {sentence}", flush=True)


def expect(condition, seen):
    if not condition:
        raise AssertionError(f"got {seen}")


def expect_sent(answer):
    expect(answer["status"] == "sent" and re.fullmatch("SM[0-9a-fA-F]{32}", answer["message_sid"]), answer)
    expect(answer["expires_at"] and answer["next_send_at"], answer)


def body(answer):
    return base64.b64decode(answer["body"]).decode() if answer.get("isBase64Encoded") else answer["body"]


def content_type(answer):
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return headers["content-type"].split(";")[0]


def replies(answer):
    response = xml.fromstring(body(answer).encode())
    expect(response.tag == "Response", answer)
    return list(response)


# ── The stack and what surrounds it ──────────────────────────────────────────────────────────────────────────────────────────


class Stack:
    """The deployed stack: its resources by the names they have in the template."""

    def __init__(self, name, environment):
        self.environment = environment
        self.client = self.signed_in(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"])
        resources = self.client("cloudformation").describe_stack_resources(StackName=name)["StackResources"]
        self.ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
        self.app = self.signed_in(*self.app_access_key())
        self.api_host = f"{self.ids['HttpApi']}.execute-api.us-east-1.amazonaws.com"
        for path, function in (("/sms", "InboundSms"), ("/sms/status", "DeliveryStatus")):
            self.route(path, function)
        self.fill_secret("TwilioAuthToken", accountSid=ACCOUNT_SID, authToken=AUTH_TOKEN)
        self.fill_secret("TwilioApiKey", accountSid=ACCOUNT_SID, apiKeySid=API_KEY_SID, apiKeySecret=API_KEY_SECRET)

    def signed_in(self, key_id, key):
        session = boto3.Session(key_id, key, region_name=self.environment["AWS_DEFAULT_REGION"])
        return lambda service: session.client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])

    def app_access_key(self):
        """The app's back end: somebody whose one permission is the stack's policy."""
        iam = self.client("iam")
        iam.create_user(UserName="app")
        iam.attach_user_policy(UserName="app", PolicyArn=self.ids["InvokeGate"])
        key = iam.create_access_key(UserName="app")["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def fill_secret(self, secret, **values):
        self.client("secretsmanager").put_secret_value(SecretId=self.ids[secret], SecretString=json.dumps(values))

    def route(self, path, function):
        """What the API's definition in the template says, which the emulator doesn't read."""
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
        """A call of the API with a form that Twilio would have signed like this; what is changed afterwards is not signed."""
        signed = f"https://{self.api_host}{path}" + "".join(name + form[name] for name in sorted(form))
        signature = base64.b64encode(hmac.new(AUTH_TOKEN.encode(), signed.encode(), hashlib.sha1).digest()).decode()
        body = urllib.parse.urlencode({**form, **(change or {})}).encode()
        request = urllib.request.Request(self.environment["AWS_ENDPOINT_URL"] + path, body)
        request.add_header("Host", self.api_host)
        request.add_header("X-Twilio-Signature", signature)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def setting(self, function, variable):
        """What those who call the alias get."""
        alias = self.client("lambda").get_alias(FunctionName=self.ids[function], Name="live")
        version = {"FunctionName": self.ids[function], "Qualifier": alias["FunctionVersion"]}
        configuration = self.client("lambda").get_function_configuration(**version)
        return configuration["Environment"]["Variables"][variable]

    def forget(self, prefix):
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
        answer = caller("lambda").invoke(FunctionName=self.ids[f"{function}Aliaslive"], Payload=payload)
        result = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise RuntimeError(f"{function} failed on {event}: {result}\n{self.logs()[-3000:]}")
        after = self.items()
        for key in {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}:
            own = any(fnmatch.fnmatchcase(key, pattern) for pattern in self.own_keys(f"{function}Role"))
            expect(own, f"{function} changing {key}, which its role doesn't name")
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

    def own_keys(self, role):
        """The keys of the table that a role names in its conditions: the emulator lets a call through whatever its key is."""
        iam, role = self.client("iam"), self.ids[role]
        names = iam.list_role_policies(RoleName=role)["PolicyNames"]
        policies = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        conditions = [statement.get("Condition", {}) for policy in policies for statement in policy["Statement"]]
        keys = [condition.get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", []) for condition in conditions]
        return [key for each in keys for key in each]

    def may(self, role, action, resource):
        if resource == "Table":
            arn = self.client("dynamodb").describe_table(TableName=self.ids["Table"])["Table"]["TableArn"]
        elif resource.endswith("Logs"):
            groups = self.client("logs").describe_log_groups(logGroupNamePrefix=self.ids[resource])["logGroups"]
            arn = groups[0]["arn"]
        else:
            arn = self.client("secretsmanager").describe_secret(SecretId=self.ids[resource])["ARN"]
        iam = self.client("iam")
        role_arn = iam.get_role(RoleName=self.ids[role])["Role"]["Arn"]
        answer = iam.simulate_principal_policy(PolicySourceArn=role_arn, ActionNames=[action], ResourceArns=[arn])
        return answer["EvaluationResults"][0]["EvalDecision"] == "allowed"


class FakeTwilio:
    def __init__(self, process):
        self.url = process.stdout.readline().strip()
        if not self.url.startswith("http://127.0.0.1:"):
            raise RuntimeError(f"the fake Twilio began with {self.url!r}, not with its URL")

    def messages(self):
        request = urllib.request.Request(f"{self.url}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json")
        credentials = base64.b64encode(f"{API_KEY_SID}:{API_KEY_SECRET}".encode()).decode()
        request.add_header("Authorization", f"Basic {credentials}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)["messages"]


def emulated(template):
    """A copy of the template without what the emulator can't make, and the lines that say what that is."""
    template = pathlib.Path(template)
    copy = yaml_parse(template.read_text())
    left_out = ["deploying step by step: the emulator has no CodeDeploy, so the alias moves at once"]
    del copy["Globals"]["Function"]["DeploymentPreference"]
    for name, resource in list(copy["Resources"].items()):
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in resource["Properties"]:
            left_out.append(f"{name}, which calculates: the emulator makes only alarms on a single metric")
            del copy["Resources"][name]
    written = template.with_name("emulated.json")
    written.write_text(json.dumps(copy, indent=2))
    return written, left_out


def deploy(template, environment, parameters, twilio_url):
    overrides = {**parameters, "TwilioBaseUrl": twilio_url}
    command = ["sam", "deploy", "--template-file", template, "--config-file", ROOT / "samconfig.toml", "--no-confirm-changeset"]
    command += ["--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"sam deploy failed:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def emulator(environment, home, log):
    """ministack, which runs the functions as processes, on loopback only and with IAM's policies enforced."""
    url = environment["AWS_ENDPOINT_URL"]
    own = {
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
    with log.open("w") as output, started([command], env={**environment, **own}, stdout=output, stderr=output) as process:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{url}/_ministack/health", timeout=1).close()
                break
            if process.poll() is not None:
                raise RuntimeError(f"the emulator ended by itself:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        else:
            raise RuntimeError("the emulator did not start within 30 s")
        yield


@contextlib.contextmanager
def started(command, **options):
    """A process in a group of its own, which ends with everything that it started itself."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        yield process
    finally:
        for kill in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, kill)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()

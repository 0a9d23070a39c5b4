"""Deploys template.yaml as far as it goes without an account, and uses what it deployed. tests/run deploy starts it.

Each check prints a line, and the last line counts them as cargo does. The account is an emulator that enforces IAM
policies, by TLS, so that the policies of roles and topics are tested too. A check that needs what an earlier one did
fails with it.
"""

import base64
import concurrent.futures
import contextlib
import copy
import datetime
import http.server
import ipaddress
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

import cloudwatch
import guide

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENVS = ROOT / ".envs"
WORK = ROOT / "target" / "deploy-test"
# The repository as its reader has it, beside a samconfig.toml.
CHECKOUT = WORK / "checkout"
BUILT = CHECKOUT / ".aws-sam" / "build"
# The release profile, but fast to build. Kept for the next time, apart from a real release.
TARGET = ROOT / "target" / "deploy"
FAST = {
    "CARGO_TARGET_DIR": str(TARGET),
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
}
ACCOUNT, REGION = "123456789012", "us-east-1"
# What a TemplateBody may have: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStackSet.html
TEMPLATE_BODY = 51_200
# Where Fraud Detector is.
REGIONS = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "ap-southeast-1", "ap-southeast-2"]
# What provided.al2023 has.
GLIBC = (2, 34)
# What tests/README.md has `cargo lambda watch` run.
WATCHED = ("--features", "preview", "--bin", "fraud-job-watch")
# Longer than this no check waits for an event.
PATIENCE = 180

# What checkov finds and we leave, each with its reason. Not more: one that it no longer finds is a failure.
LEFT = {
    ("CKV_AWS_158", "LogGroup"): "CloudWatch encrypts logs with a key of its own; these hold ids, not records",
    ("CKV_AWS_27", "FailedRuns"): "encrypted by SQS itself, which the check does not know",
    ("CKV_AWS_27", "MissedTicks"): "encrypted by SQS itself, which the check does not know",
    ("CKV_AWS_119", "Table"): "encrypted with a key of DynamoDB's; a customer key costs more than all the rest",
    ("CKV_AWS_28", "Table"): "a restored state would tell again what was told since; a lost one starts quietly",
    ("CKV_AWS_26", "AlarmTopic"): "alarms cannot publish with the key of SNS; what they say is no secret",
    ("CKV_AWS_115", "Function"): "runs may overlap; a new account has too few to set one aside, so it is a parameter",
    ("CKV_AWS_116", "Function"): "it has an on-failure destination, which is the newer form",
    ("CKV_AWS_117", "Function"): "it talks to AWS alone; in a VPC it would need endpoints or a NAT gateway",
    ("CKV_AWS_173", "Function"): "its variables hold no secret",
}

# What the function's role allows and no run here is seen to need.
NOT_SEEN = {
    "frauddetector:GetBatchPredictionJobs": "our Fraud Detector, which every run here lists from, asks for no permission",
    "frauddetector:GetBatchImportJobs": "our Fraud Detector asks for no permission",
    "dynamodb:GetItem": "reads an item anew when the answer to a write was lost",
    "kms:GenerateDataKey": "SNS uses it on the publisher's behalf, with a topic under a customer key",
    "kms:Decrypt": "SNS uses it on the publisher's behalf, with a topic under a customer key",
    "logs:CreateLogStream": "Lambda uses it on the function's behalf",
    "logs:PutLogEvents": "Lambda uses it on the function's behalf",
    "sqs:SendMessage": "Lambda uses it on the function's behalf, for the on-failure destination",
}

# What the role has to allow for each thing that is watched.
LISTS = {
    "batch-predictions": "frauddetector:GetBatchPredictionJobs",
    "batch-imports": "frauddetector:GetBatchImportJobs",
}

# The metrics of AWS that alarms and dashboard use, as their documentation lists them.
OF_AWS = {
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": {
        "Errors": ["FunctionName"], "Duration": ["FunctionName"], "DestinationDeliveryFailures": ["FunctionName"],
    },
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": {"NumberOfMessagesSent": ["QueueName"]},
    # https://docs.aws.amazon.com/sns/latest/dg/sns-monitoring-using-cloudwatch.html
    "AWS/SNS": {"NumberOfNotificationsFailed": ["TopicName"]},
}

# What whoever talks to the account is told, and no more than that: nobody's own files and keys.
AWS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "SAM_CLI_TELEMETRY": "0",
    # cargo finds cargo-lambda there.
    "PATH": f"{ENVS}/deploy/bin:{os.environ['PATH']}",
}

TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:central"
# Parameters by which each condition of the template is seen both ways.
SETTINGS = {
    "nothing set": {},
    "email": {"Email": "somebody@example.com"},
    "alarms to another": {"AlarmEmail": "else@example.com"},
    "both emails": {"Email": "somebody@example.com", "AlarmEmail": "else@example.com"},
    "Slack": {"SlackWorkspaceId": "T012ABCDEF", "SlackChannelId": "C012ABCDEF"},
    "a topic elsewhere": {"TopicArn": TOPIC, "Email": "somebody@example.com"},
    "imports": {"Watch": "batch-imports"},
    "a key": {"TopicKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000"},
    "everything": {
        "Email": "somebody@example.com",
        "AlarmEmail": "else@example.com",
        "SlackWorkspaceId": "T012ABCDEF",
        "SlackChannelId": "C012ABCDEF",
        "TopicArn": TOPIC,
        "TopicKeyArn": f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000000",
        "UrgentTopicArn": f"arn:aws:sns:us-east-1:{ACCOUNT}:pager",
        "UrgentTopicKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/00000000-0000-4000-8000-000000000001",
        "Watch": "batch-predictions,batch-imports",
        "ReservedConcurrency": "2",
        "DetailedMetrics": "on",
        "Dashboard": "on",
        "LongestGapHours": 64,
        "ReadmeUrl": "https://example.com/README.md",
    },
}

# Values by which a parameter's pattern and the function's own rule are compared. The function also takes durations in
# other notations; these are in the one that is documented.
VALUES = {
    "TopicArn": [
        "arn:aws:sns:us-east-1:123456789012:a",
        "arn:aws-us-gov:sns:us-gov-west-1:123456789012:A_b-9",
        f"arn:aws:sns:us-east-1:123456789012:{'n' * 256}",
        f"arn:aws:sns:us-east-1:123456789012:{'n' * 257}",
        "arn:aws:sns:us-east-1:123456789012:a.fifo",
        "arn:aws:sns:us-east-1:12345678901:a",
        "arn:aws:sqs:us-east-1:123456789012:a",
        "arn:aws:sns::123456789012:a",
        "arn:aws:sns:us-east-1:123456789012:a:9b",
        "fraud-jobs",
    ],
    "Watch": [
        "batch-predictions", "batch-imports", "batch-predictions,batch-imports", "batch-predictions,batch-predictions",
        "imports", "batch-imports;", "Batch-Imports", "all",
    ],
    "WatchName": ["payments prod", "a", "x" * 40, "x" * 41, "a[b", "a]b", "a\\b", "é", "a\tb", " ~!@"],
    "StallAfter": [
        "1m", "59m", "60m", "90m", "43200m", "43201m", "0m", "99999m", "1h", "23h", "24h", "71h59m", "720h", "721h",
        "719h59m", "720h1m", "1h30m", "1h0m", "1d", "29d23h59m", "30d", "30d1m", "31d", "1d1h", "1d30m", "0h",
        "off", "1", "h", "-1h", "1s", "m1",
    ],
    "RemindAfter": ["off", "1m", "0m", "30d", "31d", "4h", "on", "Off", "720h1m"],
    "OverdueAfter": ["auto", "off", "1m", "0m", "30d", "31d", "6h", "on", "Auto", "never"],
    "Expect": [
        "none", "* by 09:00", "payments_detector from 22:00 by 07:00 MON-FRI Europe/Dublin", "a-b_1 BY 23:59 fri-Mon,WED",
        "a by 07:00 MON, WED - FRI", "a by 07:00; * by 09:00 Etc/GMT+1;", "a by 07:00 ;b From 00:00 by 00:00 sun UTC ; ",
        f"{'n' * 64} by 07:00", f"{'n' * 65} by 07:00", "a by 24:00", "a by 7:00", "a by 07:60", "a by", "a", "by 07:00",
        "A by 07:00", "a 07:00", "a to 07:00", "a from by 07:00", "a by 07:00 15", "a by 07:00 MON,15",
        "a by 07:00 MON UTC more", "a by 07:00, b by 08:00", "cron(0 7 * * ? *)", "rate(1 day)",
        "None", "; ".join(f"n{number} by 07:00" for number in range(150)),
    ],
    "NotifyOn": [
        "completed", "failed,stalled", "failed, stalled", "completed,failed,stalled,recovered,canceled,ended,vanished,overdue",
        "reminder", "began", "failed,", ",failed", "Failed", "failed;stalled",
    ],
    "DigestAbove": ["1", "5", "1000", "0", "1001", "-1", "five", "1.5"],
    "DetailedMetrics": ["on", "off", "yes", "ON"],
}
VALUES["UrgentTopicArn"] = VALUES["TopicArn"]


class Failed(Exception):
    """A check that did not hold."""


def require(holds, what):
    if not holds:
        raise Failed(what)


def eventually(what, come_true, patience=PATIENCE):
    """What `come_true` gives once that is something."""
    start = time.monotonic()
    while time.monotonic() - start < patience:
        if seen := come_true():
            return seen
        time.sleep(0.2)
    raise Failed(f"not within {patience} s: {what}")


def run(*command, check=True, cwd=ROOT, **environment):
    """What a command printed."""
    outcome = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if check and outcome.returncode:
        lines = outcome.stdout.strip().splitlines()[-60:]
        raise Failed(f"{' '.join(map(str, command))}: exit {outcome.returncode}\n" + "\n".join(lines))
    return outcome.stdout


def of_deploy(program):
    return str(ENVS / "deploy" / "bin" / program)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- the template

def source():
    """template.yaml, with intrinsic functions in their long form."""
    from samtranslator.yaml_helper import yaml_parse

    return yaml_parse((ROOT / "template.yaml").read_text())


def translated():
    """What CloudFormation gets: the transform done, by SAM's own translator."""
    from types import SimpleNamespace

    from samtranslator.translator.transform import transform

    template = source()
    template["Resources"]["Function"]["Properties"]["CodeUri"] = "s3://some-bucket/some-key"
    return transform(template, {}, SimpleNamespace(load=dict))


def is_true(condition, template, values):
    if isinstance(condition, str):
        return is_true(template["Conditions"][condition], template, values)
    (name, arguments), = condition.items()
    match name:
        case "Condition":
            return is_true(template["Conditions"][arguments], template, values)
        case "Fn::Equals":
            left, right = (values[side["Ref"]] if isinstance(side, dict) else side for side in arguments)
            return left == right
        case "Fn::Not":
            return not is_true(arguments[0], template, values)
        case "Fn::And":
            return all(is_true(one, template, values) for one in arguments)
        case "Fn::Or":
            return any(is_true(one, template, values) for one in arguments)
    raise Failed(f"unknown condition {name}")


def concrete(template, parameters):
    """The template as it is for these parameters, without any condition left in it, and its conditions' values."""
    template = copy.deepcopy(template)
    for name, value in parameters.items():
        template["Parameters"][name]["Default"] = value
    values = {name: str(parameter["Default"]) for name, parameter in template["Parameters"].items()}
    conditions = {name: is_true(name, template, values) for name in template["Conditions"]}
    nothing = object()

    def settle(part):
        if isinstance(part, dict):
            if set(part) == {"Fn::If"}:
                name, yes, no = part["Fn::If"]
                return settle(yes if conditions[name] else no)
            if part == {"Ref": "AWS::NoValue"}:
                return nothing
            settled = {key: settle(value) for key, value in part.items()}
            return {key: value for key, value in settled.items() if value is not nothing}
        if isinstance(part, list):
            return [value for value in map(settle, part) if value is not nothing]
        return part

    for section in ("Resources", "Outputs"):
        kept = {
            name: part
            for name, part in template[section].items()
            if conditions.get(part.get("Condition"), True)
        }
        for part in kept.values():
            part.pop("Condition", None)
        template[section] = {name: settle(part) for name, part in kept.items()}
    del template["Conditions"]
    return template, conditions


def schedules(parameters):
    """Each interval with each gap that is longer."""
    for interval in parameters["IntervalMinutes"]["AllowedValues"]:
        for gap in parameters["LongestGapHours"]["AllowedValues"]:
            if not gap or gap * 60 > interval:
                yield {"IntervalMinutes": interval, "LongestGapHours": gap}


def for_the_emulator():
    """Takes metric math, which the emulator does not know, out of what sam built: such alarms watch one of their metrics."""
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse((BUILT / "template.yaml").read_text())
    for resource in template["Resources"].values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::CloudWatch::Alarm" and "Metrics" in properties:
            stat = next(query["MetricStat"] for query in properties.pop("Metrics") if "MetricStat" in query)
            properties |= stat["Metric"] | {"Statistic": stat["Stat"], "Period": stat["Period"]}
    (BUILT / "template.yaml").write_text(json.dumps(template, indent=1))


# --- the account


class Account:
    """The emulators, and clients for them."""

    def __init__(self):
        import boto3

        self.processes = contextlib.ExitStack()
        self.jobs, self.imports = WORK / "jobs.json", WORK / "imports.json"
        self.list([])
        self.imports.write_text(json.dumps(IMPORTS))
        certificates(WORK)
        self.fraud_detector = self.start_fraud_detector()
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        os.environ.update({"AWS_ENDPOINT_URL": self.url, "AWS_CA_BUNDLE": str(WORK / "ca.pem")})
        self.start_ministack(port)
        self.client = lambda service, region=REGION: boto3.client(service, region_name=region)

    def start(self, log, *command, **environment):
        """A process that ends with this one, however that dies, and the file that it prints to."""
        output = open(WORK / log, "wb")
        process = subprocess.Popen(
            [ROOT / "tests/lab/leash", *map(str, command)],
            cwd=WORK,
            env={**os.environ, **environment, "TMPDIR": str(WORK / "tmp")},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        self.processes.callback(process.stdin.close)
        return process, WORK / log

    def start_fraud_detector(self):
        program = ROOT / "target/debug/examples/fraud-detector"
        _, log = self.start("fraud-detector.log", program, self.jobs, self.imports)
        return eventually("our Fraud Detector's address", lambda: log.read_text().partition("\n")[0])

    def start_ministack(self, port):
        process, log = self.start(
            "ministack.log",
            of_deploy("ministack"),
            BIND_HOST="127.0.0.1",
            GATEWAY_PORT=str(port),
            MINISTACK_HOST="127.0.0.1",
            MINISTACK_ACCOUNT_ID=ACCOUNT,
            MINISTACK_REGION=REGION,
            AUTH="true",
            LAMBDA_EXECUTOR="local",
            IOT_MTLS_ENABLED="0",
            SFTP_ENABLED="0",
            USE_SSL="1",
            MINISTACK_SSL_CERT=str(WORK / "server.pem"),
            MINISTACK_SSL_KEY=str(WORK / "server.key"),
            # The functions inherit these.
            AWS_ENDPOINT_URL_FRAUDDETECTOR=self.fraud_detector,
            SSL_CERT_FILE=str(WORK / "ca.pem"),
        )

        def is_there():
            require(process.poll() is None, log.read_text()[-2000:])
            with contextlib.suppress(OSError):
                import ssl

                context = ssl.create_default_context(cafile=WORK / "ca.pem")
                with urllib.request.urlopen(f"{self.url}/_ministack/health", context=context) as answer:
                    return answer.status == 200

        eventually("the account answers", is_there)

    def list(self, jobs):
        """What our Fraud Detector lists from now on; nothing if it is to deny access."""
        if jobs is None:
            self.jobs.unlink()
            return
        draft = self.jobs.with_suffix(".draft")
        draft.write_text(json.dumps(jobs))
        draft.replace(self.jobs)


def certificates(directory):
    """A certificate authority of the test's own, and a server's certificate by it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.datetime.now(datetime.timezone.utc)

    def name(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def certificate(subject, key, issuer_key, *extensions):
        builder = x509.CertificateBuilder(
            issuer_name=name("tests"),
            subject_name=name(subject),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(hours=1),
            not_valid_after=now + datetime.timedelta(days=2),
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(
        (
            "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
            "encipher_only", "decipher_only",
        ),
        False,
    )
    (directory / "ca.pem").write_bytes(
        certificate(
            "tests", authority, authority,
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True),
            (x509.SubjectKeyIdentifier.from_public_key(authority.public_key()), False),
        )
    )
    (directory / "server.pem").write_bytes(
        certificate(
            "127.0.0.1", server, authority,
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False),
        )
    )
    (directory / "server.key").write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


class HttpSubscriber:
    """A subscriber by HTTP, which confirms its subscription as SNS asks it to."""

    def __init__(self, sns):
        messages = self.messages = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.end_headers()
                if body["Type"] == "SubscriptionConfirmation":
                    sns.confirm_subscription(TopicArn=body["TopicArn"], Token=body["Token"])
                else:
                    messages.append(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


# --- jobs


def at(minutes_ago):
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes_ago)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# A job with a later start would be another one.
STARTED = at(3600)


def job(name, status, beat, **more):
    return {
        "jobId": name,
        "status": status,
        "startTime": STARTED,
        "lastHeartbeatTime": at(beat),
        "detectorName": "signup_detector",
        "arn": f"arn:aws:frauddetector:{REGION}:{ACCOUNT}:batch-prediction/{name}",
        "processedRecordsCount": 2500,
        "totalRecordsCount": 5000,
        **more,
    }


def ended(name, status, ago, **more):
    return job(name, status, ago, completionTime=at(ago), **more)


HISTORY = [ended(f"old-{number}", "COMPLETE", 3000) for number in range(120)]
IMPORTS = [
    {
        "jobId": "imported", "status": "COMPLETE", "startTime": STARTED, "completionTime": at(3000),
        "processedRecordsCount": 5000, "failedRecordsCount": 1, "totalRecordsCount": 5000,
    },
    {"jobId": "validates", "status": "IN_PROGRESS_INITIALIZING", "startTime": at(5)},
]
# It has processed nothing, so one look at it is enough.
STALLS = job("stalls", "IN_PROGRESS", 90, processedRecordsCount=0)


# --- one deployed stack


class Stack:
    def __init__(self, account, name):
        self.account, self.name = account, name

    def deploy(self, region=REGION, template="template.yaml", **parameters):
        overrides = [f'{name}="{value}"' for name, value in parameters.items()]
        return run(
            of_deploy("sam"), "deploy", "--template-file", str(BUILT / template), "--stack-name", self.name,
            "--region", region, "--s3-bucket", "artifacts", "--capabilities", "CAPABILITY_IAM",
            "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--parameter-overrides", *overrides,
        )

    @property
    def description(self):
        return self.account.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]

    @property
    def outputs(self):
        return {output["OutputKey"]: output["OutputValue"] for output in self.description["Outputs"]}

    def physical(self, logical):
        found = self.account.client("cloudformation").describe_stack_resource(
            StackName=self.name, LogicalResourceId=logical
        )
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def invoke(self, payload, kind="RequestResponse"):
        answer = self.account.client("lambda").invoke(
            FunctionName=self.physical("Function"), Payload=json.dumps(payload).encode(), InvocationType=kind
        )
        return json.loads(answer["Payload"].read() or b"null")

    def log(self):
        """The lines of the function's own log group that are JSON, in the order in which they came.

        Each run has a stream of its own here, and streams are listed by their names, which are random.
        """
        pages = self.account.client("logs").get_paginator("filter_log_events").paginate(
            logGroupName=self.physical("LogGroup")
        )
        parsed = []
        for event in itertools.chain.from_iterable(page["events"] for page in pages):
            with contextlib.suppress(ValueError):
                parsed.append(json.loads(event["message"]))
        return [line for line in parsed if isinstance(line, dict)]


def check(method):
    CHECKS.append(method)
    return method


CHECKS = []


class Tests:
    """The checks, in order. Their names are their sentences."""

    def __init__(self):
        self.told = []

    # - the template by itself

    @check
    def sam_finds_the_template_valid(self):
        run(of_deploy("sam"), "validate", "--lint", "--template", "template.yaml")

    @check
    def every_condition_translates_and_lints_both_ways(self):
        template, seen = translated(), {}
        self.concretes = []
        for number, parameters in enumerate(SETTINGS.values()):
            made, conditions = concrete(template, parameters)
            for name, value in conditions.items():
                seen.setdefault(name, set()).add(value)
            file = WORK / f"concrete-{number}.json"
            file.write_text(json.dumps(made, indent=1))
            self.concretes.append(file)
        one_way = [name for name, values in seen.items() if len(values) < 2]
        require(not one_way, f"seen one way only: {one_way}")
        whole = WORK / "translated.json"
        whole.write_text(json.dumps(template, indent=1))
        # Parameters and mappings that only conditions or the other branch use.
        unused = "W2001,W7001,W6001"
        regions = ["--regions", *REGIONS]
        run(of_deploy("cfn-lint"), "--non-zero-exit-code", "warning", *regions, "--", str(whole))
        run(of_deploy("cfn-lint"), "--ignore-checks", unused, *regions, "--", *map(str, self.concretes))

    @check
    def the_role_may_list_what_is_watched_and_no_more(self):
        template = translated()
        choices = template["Parameters"]["Watch"]["AllowedValues"]
        require(set(itertools.chain(*(choice.split(",") for choice in choices))) == set(LISTS), choices)
        for choice in choices:
            made, _ = concrete(template, {"Watch": choice})
            statements = policy_statements(made["Resources"]["FunctionRole"])
            allowed = [action for one in statements for action in actions_of(one)]
            allowed = [action for action in allowed if action.startswith("frauddetector:")]
            require(allowed == [LISTS[name] for name in choice.split(",")], f"{choice} allows {allowed}")

    @check
    def checkov_finds_what_is_left_and_nothing_else(self):
        files = [option for file in self.concretes for option in ("--file", str(file))]
        report = run(
            str(ENVS / "checkov/bin/checkov"), *files, "--framework", "cloudformation", "--output", "json",
            "--skip-download", "--soft-fail", "--quiet",
        )
        report = json.loads(report[report.index("{") :])
        found = {
            (check["check_id"], check["resource"].rpartition(".")[2])
            for check in report["results"]["failed_checks"]
        }
        require(found == set(LEFT), f"new: {found - set(LEFT)}, gone: {set(LEFT) - found}")

    @check
    def nothing_has_a_name_that_two_stacks_would_share(self):
        names = re.compile("(Function|Role|Table|Queue|Topic|LogGroup|Alarm|Dashboard|Configuration|)Name$")
        fixed = [
            f"{logical}.{key}"
            for logical, resource in translated()["Resources"].items()
            for key, value in resource.get("Properties", {}).items()
            if names.match(key) and "AWS::StackName" not in json.dumps(value) and key not in ("PolicyName", "MetricName")
            and "Ref" not in value
        ]
        require(not fixed, fixed)

    @check
    def the_variables_are_one_set_in_template_settings_and_readme(self):
        template = set(source()["Resources"]["Function"]["Properties"]["Environment"]["Variables"])
        settings = (ROOT / "src/settings.rs").read_text()
        settings = set(re.findall(r'^    name: "([A-Z_]+)",$', settings, re.M))
        readme = set(re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "README.md").read_text(), re.M))
        require(template == settings == readme, f"template {template}, settings {settings}, README {readme}")

    @check
    def the_readme_names_each_alarm(self):
        readme = (ROOT / "README.md").read_text()
        alarms = {
            resource["Properties"]["AlarmName"]["Fn::Sub"].removeprefix("${AWS::StackName}-")
            for resource in translated()["Resources"].values()
            if resource["Type"] == "AWS::CloudWatch::Alarm"
        }
        listed_alarms = set(re.findall(r"^\| `([a-z-]+)` \|", readme, re.M))
        require(alarms == listed_alarms, f"template {alarms}, README {listed_alarms}")

    # - the guide

    @check
    def the_tools_take_each_command_of_the_guide(self):
        make_checkout()
        for file in ("processed.json", "compact.json"):
            (CHECKOUT / file).write_text("{}")
        commands = [command for script in guide.scripts() for command in script.commands(CHECKOUT)]
        require(len(commands) > 40, f"only {len(commands)} found")
        for tool in (["aws", "sqs", "list-queues"], ["sam", "build"], ["cargo", "lambda", "deploy"], guide.PREVIEW + ["live"]):
            require(guide.complaint([*tool, "--no-such-option"], CHECKOUT), f"{tool} takes anything")
        commands = unique(commands)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            complaints = list(pool.map(lambda command: guide.complaint(command, CHECKOUT), commands))
        wrong = [f"{' '.join(command)}: {said}" for command, said in zip(commands, complaints) if said]
        require(not wrong, "\n".join(wrong))

    @check
    def the_guide_asks_for_a_sam_that_these_tests_use(self):
        used = re.search(r"^aws-sam-cli==([\d.]+)$", (ROOT / "tests/lab/requirements/deploy.txt").read_text(), re.M)[1]
        require(guide.least_sam() <= tuple(map(int, used.split("."))), used)
        require(guide.least_sam() >= (1, 156), "1.155.2 still asks for --beta-features to build rust-cargolambda")

    @check
    def the_workflow_holds_no_keys_and_runs_what_it_names(self):
        workflow = guide.workflow()
        job = workflow["jobs"]["deploy"]
        require(workflow[True] == "workflow_dispatch" and workflow["permissions"] == {}, workflow)
        require(job["permissions"] == {"contents": "read", "id-token": "write"}, job["permissions"])
        text = guide.WORKFLOW.read_text()
        require("secrets." not in text and "access-key" not in text, "a stored key")
        actions = [step["uses"] for step in job["steps"] if "uses" in step]
        require(actions and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action) for action in actions), actions)
        build, credentials = (
            next(number for number, step in enumerate(job["steps"]) if part in json.dumps(step))
            for part in ("sam build", "role-to-assume")
        )
        require(build < credentials, "what the build runs could use the credentials")

    @check
    def the_outputs_paste_from_json(self):
        for name, output in source()["Outputs"].items():
            bad = set('"\\\n`$') & set(re.sub(r"\$\{\w+\}|\$\{AWS::\w+\}", "", spoken(output["Value"])))
            require(not bad, f"{name}: JSON or a shell changes {bad}")

    # - the alarms, by the model of CloudWatch

    @check
    def the_model_of_cloudwatch_does_what_is_documented(self):
        require(not (wrong := cloudwatch.differs_from_the_documentation()), wrong)

    @check
    def alarms_keep_within_what_cloudwatch_takes(self):
        template = translated()
        parameters = template["Parameters"]
        for settings in [*SETTINGS.values(), *schedules(parameters)]:
            for name, alarm in cloudwatch.alarms_of(concrete(template, settings)[0]).items():
                require(not (faults := cloudwatch.faults_of(alarm)), f"{settings}: {name}: {faults}")

    @check
    def each_fault_rings_its_alarms_in_time_and_no_other(self):
        template, wrong, rows = translated(), [], []
        for story in cloudwatch.STORIES:
            differences, seen = story.differences(cloudwatch.alarms_of(concrete(template, story.parameters)[0]))
            wrong += differences
            rows += seen
        unheard = set(cloudwatch.alarms_of(concrete(template, {})[0])) - {name for _, name, *_ in rows}
        require(not unheard, f"no story rings {unheard}")
        heads = ("what happens", "alarm", "its points", "rings after", "ends after")
        for fault, name, points, rings, ends in [heads, *rows]:
            print(f"{fault:60} {name:20} {points:16} {rings:40} {ends or '–'}")
        require(not wrong, "\n".join(wrong[:20]))

    @check
    def on_each_schedule_it_rings_when_runs_stop_and_not_before(self):
        template, wrong = translated(), []
        for settings in schedules(template["Parameters"]):
            interval, gap = settings["IntervalMinutes"], settings["LongestGapHours"]
            if gap and interval not in (5, 60):
                continue
            alarms = cloudwatch.alarms_of(concrete(template, settings)[0])
            alarm = {"no-successful-run": alarms["no-successful-run"]}
            wrong += cloudwatch.steady(interval, gap).differences(alarm, cloudwatch.WAYS[::7])[0]
        require(not wrong, "\n".join(wrong[:20]))

    @check
    def the_stories_show_mistakes(self):
        template, unseen = translated(), []
        stories = {story.fault: story for story in cloudwatch.STORIES}
        for name, path, value, fault in cloudwatch.MISTAKES:
            story = stories[fault]
            alarm = copy.deepcopy(cloudwatch.alarms_of(concrete(template, story.parameters)[0])[name])
            part = alarm
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = value
            if not story.differences({name: alarm})[0]:
                unseen.append((name, path, fault))
        require(not unseen, unseen)

    @check
    def an_alarm_says_what_to_do_and_when_it_is_over(self):
        for settings in SETTINGS.values():
            for name, alarm in cloudwatch.alarms_of(concrete(translated(), settings)[0]).items():
                description = alarm["AlarmDescription"]["Fn::Sub"]
                require(
                    "${ReadmeUrl}#metrics-and-alarms" in description and ".console.aws.amazon.com/" in description,
                    f"{name}: {description}",
                )
                # What its variables can become is longer; CloudWatch takes 1,024.
                require(len(description) < 600, f"{name}: {len(description)} characters")
                require(alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], alarm)
                # Who was lost is not there again because the numbers do not change any more.
                ends = [] if name == "subscriber-lost" else alarm["AlarmActions"]
                require(alarm.get("OKActions", []) == ends, f"{name}: {alarm.get('OKActions')}")

    @check
    def the_costs_count_these_alarms_and_are_at_most_three_dollars(self):
        sys.path.append(str(ROOT / "tests" / "bench"))
        import cost

        alarms = [cloudwatch.Alarm.of(alarm) for alarm in cloudwatch.alarms_of(concrete(translated(), {})[0]).values()]
        counted = len(alarms), sum(len(alarm.metrics) for alarm in alarms)
        require(counted == (cost.ALARMS, cost.ALARM_METRICS), f"template {counted}")
        month = sum((cost.lines(cost.Ours, 10_000, 5, False) | cost.watching(False)).values())
        require(month <= 3, month)

    # - the artifact

    @check
    def a_plain_sam_build_is_for_the_architecture_of_the_samconfig(self):
        config = guide.samconfig(
            "watch", REGION, Architecture="x86_64", ScheduleExpression="rate(1 minute)", IntervalMinutes=1,
            Email="somebody@example.com",
        )
        (CHECKOUT / "samconfig.toml").write_text(config)
        run(of_deploy("sam"), "build", cwd=CHECKOUT, **FAST)
        for_the_emulator()
        header = (BUILT / "Function" / "bootstrap").read_bytes()[:20]
        # e_machine of an ELF header: 62 is x86-64, 183 AArch64.
        require(header[:4] == b"\x7fELF", header)
        require(int.from_bytes(header[18:20], "little") == 62, header)

    @check
    def the_artifact_is_the_lambda_alone(self):
        self.bootstrap = BUILT / "Function" / "bootstrap"
        files = [str(path.relative_to(BUILT / "Function")) for path in (BUILT / "Function").rglob("*")]
        require(files == ["bootstrap"], files)

    @check
    def it_needs_no_newer_glibc_than_lambda_has(self):
        versions = re.findall(r"GLIBC_(\d+)\.(\d+)", run("readelf", "-V", str(self.bootstrap)))
        newest = max((int(major), int(minor)) for major, minor in versions)
        require(newest <= GLIBC, f"needs {newest}")

    @check
    def a_parameter_takes_what_the_function_takes(self):
        parameters = source()["Parameters"]
        differ = []
        for name, values in VALUES.items():
            parameter = parameters[name]
            variable = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
            for value in values:
                by_template = takes(parameter, value)
                if by_template != self.function_takes(variable, value):
                    differ.append(f"{name}={value!r}: by the template {by_template}")
            # The default, too.
            if (default := str(parameter["Default"])) and not self.function_takes(variable, default):
                differ.append(f"the default of {name}")
        require(not differ, "; ".join(differ))

    def function_takes(self, variable, value):
        """Whether the function starts with it. Nobody invokes it: it ends when it cannot ask for work."""
        environment = {
            "TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:topic",
            "STATE_TABLE": "table",
            "AWS_LAMBDA_LOG_FORMAT": "JSON",
            "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:9",
            "AWS_LAMBDA_FUNCTION_NAME": "watch",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_REGION": REGION,
            variable: value,
        }
        outcome = subprocess.run([self.bootstrap], env=environment, capture_output=True, text=True, timeout=60)
        return "SettingsInvalid" not in outcome.stdout

    # - the deployment

    @check
    def sam_deploys_it(self):
        self.account = Account()
        self.account.client("s3").create_bucket(Bucket="artifacts")
        self.account.list(
            [*HISTORY, job("completes", "IN_PROGRESS", 1), job("fails", "IN_PROGRESS", 2), STALLS]
        )
        self.stack = Stack(self.account, "watch")
        # By the samconfig.toml of the guide, and nothing else.
        run(of_deploy("sam"), "deploy", cwd=CHECKOUT)
        require(self.stack.description["StackStatus"] == "CREATE_COMPLETE", self.stack.description["StackStatus"])
        self.topic = self.stack.physical("Topic")
        sns, sqs = self.account.client("sns"), self.account.client("sqs")
        self.queue = sqs.create_queue(QueueName="subscriber")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage",
                 "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": self.topic}}}
            ],
        }
        sqs.set_queue_attributes(QueueUrl=self.queue, Attributes={"Policy": json.dumps(policy)})
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn)
        self.subscriber = HttpSubscriber(sns)
        sns.subscribe(TopicArn=self.topic, Protocol="http", Endpoint=self.subscriber.url)
        # What `cargo lambda watch` will run, made while the next checks wait for the schedule.
        self.watched, self.watched_log = self.account.start(
            "watched.log", "cargo", "build", "--manifest-path", str(ROOT / "Cargo.toml"), *WATCHED,
            CARGO_TARGET_DIR=str(ROOT / "target"),
        )

    @check
    def its_tags_are_on_the_stack(self):
        tags = {tag["Key"]: tag["Value"] for tag in self.stack.description["Tags"]}
        require(tags == {"app": "fraud-job-watch"}, tags)

    @check
    def another_region_is_refused_before_anything_is_made(self):
        with contextlib.suppress(Exception):
            self.account.client("s3", "eu-central-1").create_bucket(
                Bucket="artifacts", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
            )
        try:
            Stack(self.account, "elsewhere").deploy(region="eu-central-1", Architecture="x86_64")
        except Failed as failed:
            require("not in this region" in str(failed), str(failed))
        else:
            raise Failed("it was deployed")

    @check
    def half_of_slack_is_refused(self):
        try:
            Stack(self.account, "half").deploy(Architecture="x86_64", SlackChannelId="C012ABCDEF")
        except Failed as failed:
            require("SlackChannelId needs SlackWorkspaceId" in str(failed), str(failed))
        else:
            raise Failed("it was deployed")

    @check
    def a_failed_first_deployment_leaves_no_table(self):
        """It fails when the table has been made."""
        doomed = {
            "Type": "AWS::Lambda::Url",
            "DependsOn": "Table",
            "Properties": {"TargetFunctionArn": "nobody", "AuthType": "AWS_IAM"},
        }
        template = json.loads((BUILT / "template.yaml").read_text())
        template["Resources"]["Doomed"] = doomed
        (BUILT / "doomed.yaml").write_text(json.dumps(template))
        stack = Stack(self.account, "unlucky")
        try:
            stack.deploy(template="doomed.yaml", Architecture="x86_64")
        except Failed:
            pass
        else:
            raise Failed("it was deployed")
        events = self.account.client("cloudformation").describe_stack_events(StackName=stack.name)["StackEvents"]
        made = [event["PhysicalResourceId"] for event in events if event["LogicalResourceId"] == "Table"]
        require(any(made), events)
        left = self.account.client("dynamodb").list_tables()["TableNames"]
        require(not set(made) & set(left), f"made {made}, left {left}")

    @check
    def an_email_address_is_asked_to_confirm_twice(self):
        sns = self.account.client("sns")
        for topic in (self.topic, self.stack.physical("AlarmTopic")):
            found = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
            emails = [one["Endpoint"] for one in found if one["Protocol"] == "email"]
            require(emails == ["somebody@example.com"], f"{topic}: {found}")

    @check
    def a_gap_that_is_shorter_than_the_interval_is_refused(self):
        try:
            Stack(self.account, "gap").deploy(Architecture="x86_64", IntervalMinutes=1440, LongestGapHours=12)
        except Failed as failed:
            require("must be 0 or at least 24" in str(failed), str(failed))
        else:
            raise Failed("it was deployed")

    @check
    def the_schedule_fires_and_the_first_run_tells_both_subscribers(self):
        self.wait_for_notice("began", "fraud-job-watch")
        self.wait_for_notice("stalled", "stalls")

    def received(self):
        """The events that the queue got so far."""
        sqs = self.account.client("sqs")
        while messages := sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.told.append(json.loads(json.loads(message["Body"])["Message"]))
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return self.told

    def wait_for_notice(self, kind, subject):
        def is_of(event):
            return event["data"]["kind"] == kind and (subject is None or event["subject"] == subject)

        event = eventually(
            f"{kind} of {subject} in the queue", lambda: next(filter(is_of, self.received()), None)
        )
        eventually(
            f"{kind} of {subject} by HTTP",
            lambda: any(json.loads(body["Message"]) == event for body in self.subscriber.messages),
        )

    @check
    def what_changes_is_told(self):
        self.account.list(
            [
                *HISTORY,
                ended("completes", "COMPLETE", 0),
                ended("fails", "FAILED", 0, failureReason="The input has no column EVENT_TIMESTAMP."),
                STALLS,
            ]
        )
        self.wait_for_notice("completed", "completes")
        self.wait_for_notice("failed", "fails")
        again = [event["id"] for event in self.received()]
        require(len(again) == len(set(again)), "a notice was repeated")

    @check
    def each_of_the_events_is_answered(self):
        answers = {
            file.name: self.stack.invoke(json.loads(file.read_text())) for file in sorted((ROOT / "events").glob("*.json"))
            if not file.name.endswith(".schema.json")
        }
        for name in ("scheduler.json", "rule.json"):
            answer = answers.pop(name)
            require((answer.get("jobs"), answer.get("pages"), answer.get("complete")) == (123, 3, True), answer)
        answer = answers.pop("dry-run.json")
        require(answer.get("dry_run") is True and answer.get("would_publish") == [], answer)
        answer = answers.pop("test-notice.json")
        require((answer.get("published"), answer.get("jobs")) == (1, 0), answer)
        self.wait_for_notice("test", None)
        require(not answers, f"no check for {list(answers)}")

    @check
    def a_failing_run_ends_in_the_on_failure_queue(self):
        queue = self.stack.physical("FailedRuns")
        self.account.list(None)
        payload = json.loads((ROOT / "events/scheduler.json").read_text())
        self.stack.invoke(payload, "Event")

        def is_there():
            sqs = self.account.client("sqs")
            for message in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", []):
                record = json.loads(message["Body"])
                if record["requestPayload"] == payload:
                    return record

        record = eventually("the event in the queue", is_there)
        self.account.list([*HISTORY, STALLS])
        require(record["responsePayload"]["errorType"] == "ListingFailed", record)

    def metrics_lines(self):
        return [line for line in self.stack.log() if "_aws" in line]

    @check
    def alarms_and_dashboard_use_only_what_is_emitted(self):
        emitted = {}
        for line in self.metrics_lines():
            require("level" in line and "timestamp" in line, f"lost to a filter by level: {line}")
            for metrics in line["_aws"]["CloudWatchMetrics"]:
                for metric in metrics["Metrics"]:
                    require(metric["Name"] in line, f"{metric} without a value")
                    require(metrics["Dimensions"] == [["FunctionName"]], metrics)
                    require(line["FunctionName"] == self.stack.physical("Function"), line)
                    emitted.setdefault(metrics["Namespace"], {})[metric["Name"]] = ["FunctionName"]
        require(emitted, "no metrics in the log")
        known = {**OF_AWS, **emitted}
        wrong = [use for use in uses(translated()["Resources"]) if known.get(use[0], {}).get(use[1]) != use[2]]
        require(not wrong, f"not emitted: {wrong}; emitted: {emitted}")

    @check
    def the_outputs_are_commands_that_work(self):
        """As they stand in what the guide has its reader run to see them, each on one line."""
        shown = run(of_deploy("sam"), "list", "stack-outputs", "--output", "json", cwd=CHECKOUT)
        outputs = {
            output["OutputKey"]: output["OutputValue"] for output in json.loads(shown[shown.index("[") :])
        }
        require(outputs == self.stack.outputs, shown)
        answers = {}
        for name, value in outputs.items():
            require(f'"{value}"' in shown, f"{name} is not shown as it is: {value}")
            tool, _, arguments = value.partition(" ")
            if tool == "aws" and name != "Subscribe":
                # For SQS the command line of the tests minds no variable.
                command = f"{ENVS}/boto3/bin/aws --endpoint-url {self.account.url} {arguments}"
                answers[name] = run("bash", "-c", command.replace("/dev/stdout", str(WORK / f"{name}.json")))
            elif tool == "sam":
                answers[name] = run("bash", "-c", f"{of_deploy('sam')} {arguments.removesuffix(' --tail')}")
        commands = {"TestNotice", "DryRun", "Subscribers", "Alarms", "Log", "FailedRunsQueue", "MissedTicksQueue"}
        require(set(answers) == commands, set(answers))
        require("run succeeded" in answers["Log"], answers["Log"][-2000:])
        require(json.loads((WORK / "DryRun.json").read_text()).get("dry_run") is True, "no dry run")
        require(json.loads((WORK / "TestNotice.json").read_text()).get("published") == 1, "no test notice")
        names = {
            "FunctionName": "Function", "NoticeTopicArn": "Topic", "AlarmTopicArn": "AlarmTopic",
            "LogGroupName": "LogGroup", "TableName": "Table",
        }
        for output, logical in names.items():
            require(outputs[output] == self.stack.physical(logical), f"{output}: {outputs[output]}")
        require(outputs["RoleArn"].startswith("arn:aws:iam:"), outputs)

    @check
    def the_processed_template_fits_a_stack_set_once_it_is_compact(self):
        """By the commands at the template's head; a set itself is beyond the emulator."""
        whole, compact, *_ = next(s for s in guide.scripts() if s.where == "template.yaml").commands(CHECKOUT)
        where = {"fraud-job-watch": self.stack.name}
        answer = run(str(ENVS / "boto3/bin/aws"), *(where.get(word, word) for word in whole[1:]))
        body = json.loads(answer)
        body = json.loads(body) if isinstance(body, str) else body
        require("Transform" not in body, "not processed")
        (CHECKOUT / compact[-2]).write_text(json.dumps(body, indent=4))
        run(sys.executable, *compact[1:], cwd=CHECKOUT)
        sizes = [(CHECKOUT / file).stat().st_size for file in compact[-2:]]
        require(sizes[1] <= TEMPLATE_BODY < sizes[0], f"{sizes}: not compact enough, or no longer needed")

    @check
    def the_role_allows_nothing_that_is_not_needed(self):
        """Takes each action away in turn, and sees that a run is denied it."""
        iam, role = self.account.client("iam"), self.stack.physical("FunctionRole")
        whole = iam.get_role_policy(RoleName=role, PolicyName="run")["PolicyDocument"]
        actions = {action for statement in whole["Statement"] for action in listed(statement["Action"])}
        by_template = {
            action
            for statement in policy_statements(source()["Resources"]["FunctionRole"])
            for action in actions_of(statement)
        }
        needless = []
        for action in sorted(actions - set(NOT_SEEN)):
            less = copy.deepcopy(whole)
            for statement in less["Statement"]:
                statement["Action"] = [a for a in listed(statement["Action"]) if a != action]
            less["Statement"] = [statement for statement in less["Statement"] if statement["Action"]]
            iam.put_role_policy(RoleName=role, PolicyName="run", PolicyDocument=json.dumps(less))
            # A run by the schedule may be denied it instead of the one that looks, and a line of the log may come late.
            if not any(self.is_missed(action) for _ in range(3)):
                needless.append(action)
        iam.put_role_policy(RoleName=role, PolicyName="run", PolicyDocument=json.dumps(whole))
        require(not needless, f"no run needs {needless}")
        require(set(NOT_SEEN) <= by_template, f"listed, but not allowed: {set(NOT_SEEN) - by_template}")

    def is_missed(self, action):
        """Whether a run that starts, ends and tells of a job is denied something."""
        self.number = getattr(self, "number", 0) + 1
        name = f"needs-{self.number}"
        before = len(self.metrics_lines())
        texts = []
        for one in (job(name, "IN_PROGRESS", 1), ended(name, "COMPLETE", 0)):
            self.account.list([*HISTORY, one])
            texts.append(json.dumps(self.stack.invoke({})))
        if action == "sns:GetTopicAttributes":
            # Being denied it fails no run, but the metrics lack what it asks for.
            return any("ConfirmedSubscribers" not in line for line in self.metrics_lines()[before:])
        return any(action in text for text in texts)

    @check
    def a_changed_parameter_updates_it(self):
        self.account.list([*HISTORY, job("goes-on", "IN_PROGRESS", 1)])
        self.stack.deploy(
            Architecture="x86_64", ScheduleExpression="rate(1 minute)", IntervalMinutes=1, StallAfter="2h",
            WatchName="payments prod", DetailedMetrics="on", Dashboard="on",
        )
        require(self.stack.description["StackStatus"] == "UPDATE_COMPLETE", self.stack.description["StackStatus"])
        function = self.account.client("lambda").get_function_configuration(FunctionName=self.stack.physical("Function"))
        variables = function["Environment"]["Variables"]
        require((variables["STALL_AFTER"], variables["WATCH_NAME"]) == ("2h", "payments prod"), variables)
        require(self.stack.invoke({}).get("complete") is True, "it no longer runs")
        eventually("a detailed metric", lambda: any("JobsInProgress" in line for line in self.metrics_lines()), 30)
        self.alarms_and_dashboard_use_only_what_is_emitted()

    @check
    def a_second_stack_beside_it_uses_a_topic_that_is_there(self):
        second = Stack(self.account, "second")
        central = self.account.client("sns").create_topic(Name="central")["TopicArn"]
        second.deploy(Architecture="x86_64", TopicArn=central, ScheduleExpression="rate(1 hour)", IntervalMinutes=60)
        require(second.outputs["Alarms"].startswith("aws sns subscribe "), second.outputs)
        answer = second.invoke({"test_notice": True})
        require(answer.get("published") == 1, answer)

    @check
    def a_stack_that_watches_both_says_what_it_saw_of_each(self):
        both = Stack(self.account, "both")
        both.deploy(
            Architecture="x86_64", Watch="batch-predictions,batch-imports", ScheduleExpression="rate(1 hour)",
            AlarmPeriodSeconds=10800,
        )
        role = both.physical("FunctionRole")
        whole = self.account.client("iam").get_role_policy(RoleName=role, PolicyName="run")["PolicyDocument"]
        allowed = {action for statement in whole["Statement"] for action in listed(statement["Action"])}
        require(set(LISTS.values()) <= allowed, allowed)
        self.account.list([*HISTORY, STALLS])
        answer = both.invoke({})
        require(set(answer.get("sources", {})) == set(LISTS), answer)
        jobs = {name: seen["jobs"] for name, seen in answer["sources"].items()}
        require(answer["complete"] is True and answer["jobs"] == sum(jobs.values()), answer)
        require(jobs == {"batch-predictions": 121, "batch-imports": 2}, jobs)

    # - cargo-lambda

    @check
    def cargo_lambda_updates_the_code_and_nothing_else(self):
        client, name = self.account.client("lambda"), self.stack.physical("Function")
        before = client.get_function_configuration(FunctionName=name)
        self.cargo_lambda_deploys("--binary-name", "fraud-job-watch", name)
        after = client.get_function_configuration(FunctionName=name)
        for part in ("Role", "Environment", "MemorySize", "Timeout", "Architectures", "Runtime"):
            require(before[part] == after[part], f"{part}: {before[part]} became {after[part]}")
        require(self.stack.invoke({}).get("complete") is True, "it no longer runs")

    @check
    def cargo_lambda_makes_a_function_of_its_own(self):
        """By the commands of the guide. Its log and its metrics are the stack's, not only its answer."""
        outputs = self.stack.outputs
        filled = {
            "NAME": "by-hand", "ROLE": outputs["RoleArn"], "TOPIC": self.topic, "TABLE": outputs["TableName"],
            "LOGGROUP": outputs["LogGroupName"],
        }
        script = next(s for s in guide.scripts() if "--logging-config" in s.text)
        deploy, *others = script.commands(CHECKOUT)
        fill = re.compile(rf"\b({'|'.join(filled)})$").sub
        deploy, *others = (
            [fill(lambda found: filled[found[1]], word) for word in command] for command in (deploy, *others)
        )
        require(deploy[:3] == ["cargo", "lambda", "deploy"], deploy)
        self.cargo_lambda_deploys(*deploy[3:])
        for tool, *arguments in others:
            require(tool == "aws", tool)
            run(str(ENVS / "boto3/bin/aws"), *arguments)
        client = self.account.client("lambda")
        configuration = client.get_function_configuration(FunctionName="by-hand")
        logging = {"LogFormat": "JSON", "LogGroup": outputs["LogGroupName"]}
        require(logging.items() <= configuration["LoggingConfig"].items(), configuration)
        answer = json.loads(client.invoke(FunctionName="by-hand", Payload=b"{}")["Payload"].read())
        require((answer.get("complete"), answer.get("began")) == (True, False), answer)

        def run_of_its_own():
            pages = self.account.client("logs").get_paginator("filter_log_events")
            events = [event for page in pages.paginate(logGroupName=outputs["LogGroupName"]) for event in page["events"]]
            streams = {event["logStreamName"] for event in events if '"FunctionName":"by-hand"' in event["message"]}
            return [event["message"] for event in events if event["logStreamName"] in streams]

        messages = eventually("its metrics in the stack's log group", run_of_its_own, 30)
        require(any('"RunSucceeded":1' in message for message in messages), messages)
        require(any("run succeeded" in message for message in messages), messages)

    def cargo_lambda_deploys(self, *arguments):
        run(
            "cargo", "lambda", "deploy", "--endpoint-url", self.account.url, "--lambda-dir", str(TARGET / "lambda"),
            *arguments,
            SSL_CERT_FILE=str(WORK / "ca.pem"), **FAST,
        )

    @check
    def cargo_lambda_watches_and_invokes(self):
        require(self.watched.wait(600) == 0, self.watched_log.read_text()[-2000:])
        port = str(free_port())
        self.account.start(
            "watch.log", "cargo", "lambda", "watch", "--manifest-path", str(ROOT / "Cargo.toml"), "--ignore-changes",
            "--invoke-address", "127.0.0.1", "--invoke-port", port, *WATCHED,
            TOPIC_ARN=self.topic,
            STATE_TABLE=self.stack.physical("Table"),
            AWS_ENDPOINT_URL_FRAUDDETECTOR=self.account.fraud_detector,
            SSL_CERT_FILE=str(WORK / "ca.pem"),
            CARGO_TARGET_DIR=str(ROOT / "target"),
        )
        eventually("cargo lambda watch listens", lambda: connects(int(port)))
        for file, member in (("dry-run.json", '"dry_run":true'), ("test-notice.json", '"published":1')):
            answer = run(
                "cargo", "lambda", "invoke", "--invoke-address", "127.0.0.1", "--invoke-port", port,
                "--data-file", str(ROOT / "events" / file), "fraud-job-watch",
            )
            require(member in answer.replace(" ", ""), answer)

    # - the end

    @check
    def sam_deletes_all_but_the_table(self):
        function, table = self.stack.physical("Function"), self.stack.physical("Table")
        run(of_deploy("sam"), "delete", "--no-prompts", cwd=CHECKOUT)
        left = [f["FunctionName"] for f in self.account.client("lambda").list_functions()["Functions"]]
        require(function not in left, left)
        tables = self.account.client("dynamodb").list_tables()["TableNames"]
        require(table in tables, tables)


def make_checkout():
    """What the reader of the guide has cloned."""
    shutil.rmtree(CHECKOUT, ignore_errors=True)
    CHECKOUT.mkdir()
    for file in ("Cargo.toml", "Cargo.lock", "src", "tests", "events"):
        (CHECKOUT / file).symlink_to(ROOT / file)
    shutil.copy(ROOT / "template.yaml", CHECKOUT)


def unique(commands):
    return [command for number, command in enumerate(commands) if command not in commands[:number]]


def spoken(value):
    """The text of an output, whichever way its conditions go."""
    if isinstance(value, dict):
        (name, arguments), = value.items()
        if name in ("Ref", "Fn::GetAtt"):
            return ""
        arguments = arguments[1:] if name == "Fn::If" else arguments[:1] if isinstance(arguments, list) else [arguments]
        return " ".join(map(spoken, arguments))
    return value


def connects(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True


def listed(one_or_more):
    return [one_or_more] if isinstance(one_or_more, str) else one_or_more


def policy_statements(role):
    """All statements of a role in the template, those behind a condition too."""
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def actions_of(statement):
    """All actions of a statement, those behind a condition too."""
    return [action["Fn::If"][1] if isinstance(action, dict) else action for action in listed(statement["Action"])]


def takes(parameter, value):
    """Whether CloudFormation takes the value. An empty one is not set to the function."""
    if parameter["Type"] == "Number":
        try:
            number = float(value)
        except ValueError:
            return False
        return number.is_integer() and parameter["MinValue"] <= number <= parameter["MaxValue"]
    if "AllowedValues" in parameter:
        return value in parameter["AllowedValues"]
    if len(value) > parameter.get("MaxLength", len(value)):
        return False
    return re.fullmatch(parameter["AllowedPattern"], value) is not None


def uses(resources):
    """Namespace, name and dimensions of each metric that an alarm or the dashboard uses."""
    for resource in resources.values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            stats = [query["MetricStat"]["Metric"] for query in properties.get("Metrics", []) if "MetricStat" in query]
            for metric in stats or [properties]:
                dimensions = [dimension["Name"] for dimension in metric["Dimensions"]]
                yield metric["Namespace"], metric["MetricName"], dimensions
        if resource["Type"] == "AWS::CloudWatch::Dashboard":
            for widget in json.loads(properties["DashboardBody"]["Fn::Sub"])["widgets"]:
                for metric in widget["properties"].get("metrics", []):
                    names = [part for part in metric if isinstance(part, str)]
                    yield names[0], names[1], names[2::2]


def main():
    (WORK / "tmp").mkdir(parents=True, exist_ok=True)
    os.environ.update(AWS)
    tests = Tests()
    passed = failed = 0
    start = time.monotonic()
    for one in CHECKS:
        began, name = time.monotonic(), one.__name__
        try:
            one(tests)
        except Exception as error:
            failed += 1
            print(f"test deploy::{name} ... FAILED ({time.monotonic() - began:.0f} s)", flush=True)
            print(str(error) if isinstance(error, Failed) else traceback.format_exc(), flush=True)
        else:
            passed += 1
            print(f"test deploy::{name} ... ok ({time.monotonic() - began:.0f} s)", flush=True)
    if hasattr(tests, "account"):
        tests.account.processes.close()
    word = "FAILED" if failed else "ok"
    print(f"test result: {word}. {passed} passed; {failed} failed; finished in {time.monotonic() - start:.0f}s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

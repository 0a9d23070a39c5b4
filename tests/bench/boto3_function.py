"""What one would write instead: a plain, well-tuned boto3 function for the same work.

The same listing, the same quiet first run, the same table, the same notices as plain text. One session, clients made
at the start (SNS when first needed), no parameter validation, nothing logged. What it leaves out: a notice that
survives a crash, overlapping runs, jobs that wait, reminders, a listing that repeats itself, spent time.
"""

import http.client
import json
import os
from datetime import datetime, timedelta, timezone

import boto3
from botocore.config import Config

ENDED = {"COMPLETE": "completed", "FAILED": "failed", "CANCELED": "canceled"}
STALL_AFTER = timedelta(hours=1)
WATCH = "batch-predictions"
TABLE = os.environ["STATE_TABLE"]
TOPIC = os.environ["TOPIC_ARN"]

CONFIG = Config(
    parameter_validation=False,
    connect_timeout=1,
    read_timeout=5,
    retries={"mode": "standard"},
)
session = boto3.session.Session()
detector = session.client("frauddetector", config=CONFIG)
dynamodb = session.client("dynamodb", config=CONFIG)
sns = None


def text(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def publish(kind, job):
    global sns
    sns = sns or session.client("sns", config=CONFIG)
    sns.publish(
        TopicArn=TOPIC,
        Subject=f"{kind}: {job['jobId']}"[:99],
        Message=json.dumps({"kind": kind, "job": job}),
        MessageAttributes={"kind": {"DataType": "String", "StringValue": kind}},
    )


def put(item, **members):
    members = {name: {"S": value} for name, value in members.items()}
    dynamodb.put_item(
        TableName=TABLE, Item={"watch": {"S": WATCH}, "item": {"S": item}, **members}
    )


def load():
    known, since, more = {}, None, {}
    while True:
        page = dynamodb.query(
            TableName=TABLE,
            KeyConditionExpression="watch = :watch",
            ExpressionAttributeValues={":watch": {"S": WATCH}},
            **more,
        )
        for item in page["Items"]:
            name = item["item"]["S"]
            if name == "watch":
                since = item["since"]["S"]
            else:
                known[name[4:]] = item["status"]["S"]
        if "LastEvaluatedKey" not in page:
            return known, since
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


def handle(_event):
    now = datetime.now(timezone.utc)
    silent_since = text(now - STALL_AFTER)
    known, since = load()
    began = since is None
    if began:
        since = text(now - timedelta(minutes=1))
        put("watch", since=since)
    jobs, told, missing = 0, 0, {job for job, status in known.items() if status not in ENDED}
    asked = {"maxResults": 50}
    while True:
        page = detector.get_batch_prediction_jobs(**asked)
        listed = page["batchPredictions"]
        jobs += len(listed)
        for job in listed:
            name, status = job["jobId"], job["status"]
            recorded = known.get(name)
            missing.discard(name)
            if status in ENDED:
                if recorded in ENDED or (recorded is None and job.get("completionTime", "") <= since):
                    continue
                kind = ENDED[status]
            else:
                alive = max(job.get("lastHeartbeatTime", ""), job.get("startTime", ""))
                stalled = alive < silent_since
                if stalled:
                    status = "stalled"
                if recorded == status or (recorded == "active" and not stalled):
                    continue
                kind, status = ("stalled", status) if stalled else (None, "active")
            if kind:
                publish(kind, job)
                told += 1
            put(f"job#{name}", status=status, at=text(now))
        if "nextToken" not in page:
            break
        asked["nextToken"] = page["nextToken"]
    for name in missing:
        publish("vanished", {"jobId": name})
        dynamodb.delete_item(
            TableName=TABLE, Key={"watch": {"S": WATCH}, "item": {"S": f"job#{name}"}}
        )
        told += 1
    if began:
        publish("began", {"jobId": WATCH})
        told += 1
    return {"jobs": jobs, "complete": True, "published": told}


def main():
    """Lambda's own loop, without the weight of its Python runtime client."""
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    base = "/2018-06-01/runtime/invocation"
    while True:
        api.request("GET", f"{base}/next")
        event = api.getresponse()
        payload = json.loads(event.read())
        answer = json.dumps(handle(payload)).encode()
        request = event.headers["Lambda-Runtime-Aws-Request-Id"]
        api.request("POST", f"{base}/{request}/response", answer)
        api.getresponse().read()


if __name__ == "__main__":
    main()

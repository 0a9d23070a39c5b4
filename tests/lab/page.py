"""Asks a Fraud Detector by boto3. Usage: page.py ENDPOINT OPERATION PARAMETERS

Prints, as JSON, all pages that the parameters lead to, and the name of the error that ended it.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, operation, parameters = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
member = {
    "get_batch_prediction_jobs": "batchPredictions",
    "get_batch_import_jobs": "batchImports",
}[operation]
client = boto3.client(
    "frauddetector",
    endpoint_url=endpoint,
    region_name="us-east-1",
    aws_access_key_id="test",
    aws_secret_access_key="test",
    config=Config(
        retries={"total_max_attempts": 1}, parameter_validation=False, proxies={}
    ),
)
# Of the errors, only those in the service's own model have a class.
modelled = {
    getattr(client.exceptions, name): name
    for name in (
        "AccessDeniedException",
        "InternalServerException",
        "ResourceNotFoundException",
        "ThrottlingException",
        "ValidationException",
    )
}

pages, error = [], None
try:
    while True:
        page = getattr(client, operation)(**parameters)
        assert page["ResponseMetadata"]["RequestId"]
        pages.append(page[member])
        if "nextToken" not in page:
            break
        parameters["nextToken"] = page["nextToken"]
except ClientError as failed:
    error = modelled.get(type(failed), f"unmodelled: {failed}")
print(json.dumps({"pages": pages, "error": error}))

"""Signs 10,000 odd requests as botocore does, one line of JSON for each."""
import base64
import hashlib
import json
import random
import sys
from urllib.parse import quote, urlsplit

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

odd = ["a", "B", "0", "-", "_", ".", "~", " ", "  ", "+", "%", "&", "=", "é", "日本", ":", "*", "'", "(", "!", '"', ",", ";", "@", "$", "x.y",
       "arn:aws:lambda:us-east-1:1:function:f"]
rnd = random.Random(7)


def text(most):
    return "".join(rnd.choice(odd) for _ in range(rnd.randint(0, most)))


for i in range(10000):
    service = rnd.choice(["dynamodb", "lambda", "s3", "sts"])
    path = "/"
    if service != "dynamodb":
        for _ in range(rnd.randint(0, 3)):
            segment = text(4)
            if segment.strip("."):
                path += quote(segment, safe="-_.~") + "/"
        path += "end"
    query = "&".join(quote(text(3), safe="-_.~") + "=" + quote(text(3), safe="-_.~") for _ in range(rnd.randint(0, 3)))
    method = rnd.choice(["GET", "POST", "PUT", "DELETE"])
    presigned = rnd.random() < 0.3  # botocore then takes the body for parameters
    body = b"" if method == "GET" or presigned else text(20).encode()
    headers = {}
    for _ in range(rnd.randint(0, 3)):
        name = rnd.choice(["X-Amz-Target", "X-Amz-Meta-Q", "Content-Type", "X-Other", "X-Amz-Client-Context"])
        headers[name] = rnd.choice(["a", "two   words", "x,y", '"q  q"', "application/x-amz-json-1.0"])
    request = AWSRequest(method=method, url="http://127.0.0.1:8000" + path + ("?" + query if query else ""), data=body, headers=headers)
    key = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "token/+=" if rnd.random() < 0.5 else None)
    if presigned:
        auth = (S3SigV4QueryAuth if service == "s3" else SigV4QueryAuth)(key, service, "us-east-1", expires=60)
    else:
        auth = (S3SigV4Auth if service == "s3" else SigV4Auth)(key, service, "us-east-1")
    auth.add_auth(request)
    sent = request.prepare()
    split = urlsplit(sent.url)
    json.dump({"service": service, "method": method, "path": split.path, "query": split.query, "host": "127.0.0.1:8000",
               "headers": {k: v.decode() if isinstance(v, bytes) else str(v) for k, v in sent.headers.items()},
               "body": base64.b64encode(body).decode(), "hash": hashlib.sha256(body).hexdigest()}, sys.stdout)
    print()

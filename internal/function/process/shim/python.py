"""Runs a Python handler on the Lambda Runtime API."""

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback

API = "/2018-06-01/runtime/"
HEADERS = {"Content-Type": "application/json"}


class Runtime:
    """The connection to the Runtime API, kept open between calls."""

    def __init__(self):
        self.connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])

    def call(self, method, path, body=None, headers={}):
        self.connection.request(method, API + path, body, headers)
        response = self.connection.getresponse()
        return response, response.read()

    def next(self):
        response, body = self.call("GET", "invocation/next")
        if response.status != 200:
            os._exit(1)  # the environment is ending
        return response.headers, body

    def fail(self, path, document):
        headers = dict(HEADERS)
        headers["Lambda-Runtime-Function-Error-Type"] = document["errorType"]
        self.call("POST", path, json.dumps(document).encode("utf-8"), headers)


class Context:
    def __init__(self, headers):
        environ = os.environ
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.function_name = environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.tenant_id = headers.get("Lambda-Runtime-Aws-Tenant-Id")
        self.identity = Members(cognito_identity_id=None, cognito_identity_pool_id=None)
        self.client_context = client_context(headers.get("Lambda-Runtime-Client-Context"))
        self._deadline = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self):
        return max(self._deadline - int(time.time() * 1000), 0)

    def log(self, message):
        sys.stdout.write(str(message))


class Members:
    def __init__(self, **members):
        self.__dict__.update(members)


def client_context(text):
    if not text:
        return None
    document = json.loads(text)
    return Members(
        custom=document.get("custom"), env=document.get("env"), client=Members(**(document.get("client") or {}))
    )


class LogHandler(logging.Handler):
    request_id = ""

    def emit(self, record):
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = "[%s]\t%s.%03dZ\t%s\t%s\n" % (
            record.levelname, at, record.msecs, LogHandler.request_id, self.format(record))
        sys.stdout.write(line)


class InitError(Exception):
    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.document = {"errorMessage": message, "errorType": kind, "requestId": "", "stackTrace": list(trace)}


def frames(error):
    """The stack below this file, as lines."""
    stack = traceback.extract_tb(error.__traceback__)
    own = os.path.abspath(__file__)
    stack = [f for f in stack if os.path.abspath(f.filename) != own and not f.filename.startswith("<frozen")]
    return traceback.format_list(stack)


def missing(error):
    """How to install the modules that AWS's runtime brings along."""
    name = (error.name or "").split(".")[0]
    if name in ("boto3", "botocore"):
        return " (on AWS it is part of the runtime; install it here with: pip install boto3)"
    return ""


def load():
    handler = os.environ["_HANDLER"]
    if "." not in handler:
        raise InitError("Runtime.MalformedHandlerName",
                        "Bad handler '%s': not enough values to unpack (expected 2, got 1)" % handler)
    path, name = handler.rsplit(".", 1)
    module_name = path.replace("/", ".")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InitError("Runtime.ImportModuleError",
                        "Unable to import module '%s': %s%s" % (path, error, missing(error)), frames(error))
    except SyntaxError as error:
        raise InitError("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (path, error),
                        ['  File "%s" Line %s\n    %s\n' % (error.filename, error.lineno, (error.text or "").rstrip())])
    except Exception as error:
        raise InitError(type(error).__name__, str(error), frames(error))
    function = getattr(module, name, None)
    if function is None:
        raise InitError("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (name, path))
    return function


def set_path():
    """The package comes first, then the standard library, the project, the machine."""
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    more = [p for p in os.environ.pop("MILLSTREAM_MODULES", "").split(os.pathsep) if p]
    site = next((i for i, p in enumerate(sys.path) if i and p.endswith(("site-packages", "dist-packages"))), len(sys.path))
    sys.path[site:site] = more


def serialise(value):
    return json.dumps(value, ensure_ascii=False, default=unserialisable).encode("utf-8")


def unserialisable(value):
    from decimal import Decimal

    if isinstance(value, Decimal):
        return float(value)
    raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


def main():
    set_path()
    # The handler's folder holds code that other processes run too.
    sys.dont_write_bytecode = True
    root = logging.getLogger()
    log = LogHandler()
    root.addHandler(log)
    runtime = Runtime()
    try:
        function = load()
    except InitError as error:
        print("[ERROR] %s: %s" % (error.document["errorType"], error), flush=True)
        for line in error.document["stackTrace"]:
            print(line, end="", flush=True)
        runtime.fail("init/error", error.document)
        sys.stdout.flush()
        os._exit(1)
    while True:
        headers, body = runtime.next()
        request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        LogHandler.request_id = request_id
        trace = headers.get("Lambda-Runtime-Trace-Id")
        if trace:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        invocation = "invocation/" + request_id + "/"
        try:
            result = function(json.loads(body) if body else {}, Context(headers))
        except Exception as error:
            document = {"errorMessage": str(error), "errorType": type(error).__name__,
                        "requestId": request_id, "stackTrace": frames(error)}
        else:
            try:
                answer = serialise(result)
            except Exception as error:
                document = {"errorMessage": "Unable to marshal response: %s" % error,
                            "errorType": "Runtime.MarshalError", "requestId": request_id, "stackTrace": []}
            else:
                sys.stdout.flush()
                response, _ = runtime.call("POST", invocation + "response", answer, HEADERS)
                if response.status == 413:  # the connection was closed with the answer
                    runtime = Runtime()
                continue
        sys.stdout.write("[ERROR] %s: %s\n%s" % (
            document["errorType"], document["errorMessage"],
            "Traceback (most recent call last):\n" + "".join(document["stackTrace"]) if document["stackTrace"] else ""))
        sys.stdout.flush()
        runtime.fail(invocation + "error", document)


main()

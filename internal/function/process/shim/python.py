"""Runs a Python handler on the Lambda Runtime API as AWS's client for Python does.

Its own calls go over a socket that the function's code cannot reach by patching socket, http or json."""

import _socket
import decimal
import importlib
import json
import json.encoder
import logging
import math
import os
import sys
import time
import traceback


def wait():
    """Waits to be told what to run, where the server has started this before it knows that (waiting.go): a folder and variables."""
    began = time.time()
    with open(int(os.environ["MILLSTREAM_WAIT"]), "rb") as f:
        told = f.read()
    if told[-1:] != b"\0":
        os._exit(0)  # the server has ended, or needs no more
    folder, *variables = told[:-1].split(b"\0")
    coerced = os.environb.get(b"LC_CTYPE")  # by the interpreter itself (PEP 538)
    for name in list(os.environb):
        del os.environb[name]
    for variable in variables:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value
    if coerced is not None:
        os.environb[b"LC_CTYPE"] = coerced
    os.chdir(folder)
    for p in sys.path:  # packages have come or gone since this has looked at them
        try:
            changed = os.stat(p).st_mtime >= began - 0.1
        except OSError:
            continue
        if changed:
            os.execv(sys.executable, [sys.executable, "-u", __file__])


if "MILLSTREAM_WAIT" in os.environ:
    wait()

EXECUTION_ENV = os.environ.get("AWS_EXECUTION_ENV", "")
# From 3.12 on answers are written in UTF-8, before with escapes.
ENSURE_ASCII = EXECUTION_ENV in ("AWS_Lambda_python3.%d" % minor for minor in range(8, 12))
IS_JSON = os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON"
LOG_LEVEL = {"TRACE": "DEBUG"}.get(os.environ.get("AWS_LAMBDA_LOG_LEVEL", ""), os.environ.get("AWS_LAMBDA_LOG_LEVEL", "")).upper()
NO_BREAK_SPACE = "\u00a0"

UNHANDLED = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code. "
    "However, in rare cases, a Lambda runtime update can cause unexpected function behavior. "
    "For functions using managed runtimes, runtime updates can be triggered by a function change, or can be applied automatically. "
    "To determine if the runtime has been updated, check the runtime version in the INIT_START log entry. "
    "If this error correlates with a change in the runtime version, you may be able to mitigate this error by temporarily rolling back to the previous runtime version. "
    "For more information, see https://docs.aws.amazon.com/lambda/latest/dg/runtimes-update.html\r"
)


# ---- JSON

quote = json.encoder.encode_basestring_ascii if ENSURE_ASCII else json.encoder.encode_basestring


class Encoder(json.JSONEncoder):
    """The standard encoder, for values that it encodes as AWS's client does."""

    def default(self, value):
        raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)


fast = Encoder(ensure_ascii=ENSURE_ASCII).encode
loads = json.loads


def is_plain(value):
    """Tells whether the standard encoder treats a value as AWS's does."""
    if value is None or isinstance(value, (str, int, float)):
        return True
    if isinstance(value, dict):
        for k, v in value.items():
            if not (k is None or isinstance(k, (str, int, float))) or not is_plain(v):
                return False
        return True
    if isinstance(value, (list, tuple)):
        if hasattr(value, "_asdict"):
            return False
        for v in value:
            if not is_plain(v):
                return False
        return True
    return False


def encode(value):
    """The JSON of a value: decimals digit for digit, named tuples as objects."""
    try:
        plain = is_plain(value)
    except RecursionError:
        plain = True  # circular, or too deep: the encoder says which
    if plain:
        return fast(value)
    parts = []
    pieces(value, parts.append, set())
    return "".join(parts)


def pieces(value, add, inside):
    if isinstance(value, str):
        add(quote(value))
    elif isinstance(value, bytes):
        add(quote(value.decode("utf-8")))
    elif value is None or isinstance(value, (int, float)):
        add(fast(value))
    elif isinstance(value, decimal.Decimal):
        add("NaN" if value.is_nan() else str(value))
    else:
        if id(value) in inside:
            raise ValueError("Circular reference detected")
        inside.add(id(value))
        asdict = getattr(value, "_asdict", None)
        if isinstance(value, list):
            sequence(value, add, inside)
        elif callable(asdict):
            mapping(asdict(), add, inside)
        elif isinstance(value, tuple):
            sequence(value, add, inside)
        elif isinstance(value, dict):
            mapping(value, add, inside)
        else:
            raise TypeError("Object of type %s is not JSON serializable" % type(value).__name__)
        inside.discard(id(value))


def sequence(values, add, inside):
    separator = "["
    for value in values:
        add(separator)
        separator = ", "
        pieces(value, add, inside)
    add("]" if separator == ", " else "[]")


def mapping(values, add, inside):
    separator = "{"
    for key, value in values.items():
        if isinstance(key, str):
            name = key
        elif isinstance(key, bytes):
            name = key.decode("utf-8")
        elif key is None or isinstance(key, (bool, float, int)):
            name = fast(key)
        else:
            raise TypeError("keys must be str, int, float, bool or None, not %s" % type(key).__name__)
        add(separator)
        separator = ", "
        add(quote(name) + ": ")
        pieces(value, add, inside)
    add("}" if separator == ", " else "{}")


# ---- the Runtime API


class Runtime:
    """The connection to the Runtime API, kept open between calls."""

    def __init__(self):
        self.address = os.environ["AWS_LAMBDA_RUNTIME_API"]
        self.connect()

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        self.socket = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
        self.socket.connect((host, int(port)))
        self.socket.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)

    def call(self, method, path, body=b"", headers=b""):
        """Sends a request and returns the status, headers by their names in lower case, and body."""
        head = "%s /2018-06-01/runtime/%s HTTP/1.1\r\nHost: %s\r\n" % (method, path, self.address)
        if method == "POST":
            head += "Content-Length: %d\r\n" % len(body)
        self.socket.sendall(head.encode("utf-8") + headers + b"\r\n" + body)
        data = b""
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                break
            more = self.socket.recv(65536)
            if not more:
                os._exit(1)  # the environment is ending
            data += more
        lines = data[:end].decode("utf-8").split("\r\n")
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        parts = [data[end + 4:]]
        missing = int(headers.get("content-length", 0)) - len(parts[0])
        while missing > 0:
            more = self.socket.recv(min(missing, 1 << 20))
            if not more:
                os._exit(1)
            parts.append(more)
            missing -= len(more)
        if headers.get("connection") == "close":
            self.socket.close()
            self.connect()
        return int(lines[0].split(" ")[1]), headers, b"".join(parts)

    def next(self):
        status, headers, body = self.call("GET", "invocation/next")
        if status != 200:
            os._exit(1)  # the environment is ending
        return headers, body

    def post(self, what, path, body, headers):
        status, _, answer = self.call("POST", path, body, headers)
        if status != 202:
            os.write(1, b"[ERROR] [%d] LAMBDA_RUNTIME Failed to post handler %s response. Http response code: %d. %s\n"
                     % (time.time() * 1000, what.encode(), status, answer))
            raise RuntimeError("Failed to post invocation response")

    def fail(self, request_id, document, cause):
        headers = b"content-type: application/json\r\n"
        cause = encode(cause).encode("utf-8").replace(b"\x7f", b"%7F")
        if len(cause) < 1 << 20:
            headers += b"lambda-runtime-function-xray-error-cause: " + cause + b"\r\n"
        self.post("failure", "invocation/%s/error" % request_id, encode(document).encode("utf-8"), headers)


# ---- errors


class Fault(Exception):
    """What the client itself finds wrong."""

    def __init__(self, kind, message, trace=()):
        super().__init__(message)
        self.kind, self.message, self.trace = kind, message, list(trace)


def error_document(message, kind, trace, request_id=""):
    return {"errorMessage": message or "", "errorType": kind or "", "requestId": request_id, "stackTrace": trace}


def frames(tb):
    """The frames of a traceback below this file's."""
    stack = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(tb)]
    for i, frame in enumerate(stack):
        if frame[0] != __file__:
            return stack[i:]
    return stack


def cause_of(kind, message, stack):
    return {
        "working_directory": os.getcwd(),
        "exceptions": [{"message": message, "type": kind, "stack": [{"label": f[2], "path": f[0], "line": f[1]} for f in stack]}],
        "paths": list({f[0] for f in stack}),
    }


# ---- the log


def frame_type(level, is_json):
    return 0xA55A0002 + (0 if is_json else 1) + {0: 0, 10: 8, 20: 12, 30: 16, 40: 20, 50: 24}[level]


def rounded(level):
    return min(50, max(0, level)) // 10 * 10


class LogSink:
    """Where log events go: frames on the descriptor that Lambda offers, or else lines on stdout."""

    def __init__(self):
        fd = os.environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
        self.fd = None if fd is None else int(fd)

    def log(self, text, kind=0xA55A0003):
        if self.fd is None:
            sys.stdout.write(text)
            return
        body = text.encode("utf-8", "surrogatepass")
        data = kind.to_bytes(4, "big") + len(body).to_bytes(4, "big") + (time.time_ns() // 1000).to_bytes(8, "big") + body
        while data:
            try:
                data = data[os.write(self.fd, data):]
            except BlockingIOError:
                time.sleep(0.001)

    def error(self, lines):
        if self.fd is None:
            sys.stdout.write("\r".join(lines) + "\n")
        else:
            self.log("\n".join(lines), frame_type(40, IS_JSON))


def log_error(sink, document):
    if IS_JSON:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        sink.error([encode({"timestamp": at, "level": "ERROR", **document})])
        return
    lines = ["[ERROR] " + ": ".join(p for p in (document["errorType"], document["errorMessage"]) if p), "Traceback (most recent call last):"]
    for entry in document["stackTrace"]:
        for line in entry.splitlines() or [""]:
            bare = line.lstrip(" ")
            lines.append(NO_BREAK_SPACE * (len(line) - len(bare)) + bare)
    sink.error(lines)


class LambdaLoggerHandler(logging.Handler):
    def __init__(self, log_sink):
        super().__init__()
        self.log_sink = log_sink

    def emit(self, record):
        text = self.format(record)
        if IS_JSON:
            self.log_sink.log(text, frame_type(record.levelno, True))
        elif LOG_LEVEL:
            self.log_sink.log(text, frame_type(rounded(record.levelno), False))
        else:
            self.log_sink.log(text)


class LambdaLoggerFilter(logging.Filter):
    request_id = ""
    tenant_id = None

    def filter(self, record):
        record.aws_request_id = LambdaLoggerFilter.request_id
        record.tenant_id = LambdaLoggerFilter.tenant_id
        return True


class JsonFormatter(logging.Formatter):
    own = set(logging.makeLogRecord({}).__dict__) | {"aws_request_id", "tenant_id", "message", "asctime"}
    encode = json.JSONEncoder(ensure_ascii=False, default=str).encode

    def format(self, record):
        record.levelno = rounded(record.levelno)
        record.levelname = logging.getLevelName(record.levelno)
        failure = record.exc_info or None
        document = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.msg if isinstance(record.msg, dict) and not record.args else record.getMessage(),
            "logger": record.name,
            "stackTrace": failure and traceback.format_tb(failure[2]),
            "errorType": failure and failure[0].__name__,
            "errorMessage": failure and str(failure[1]),
            "requestId": getattr(record, "aws_request_id", None),
            "location": failure and "%s:%s:%s" % (record.pathname, record.funcName, record.lineno),
            "tenantId": getattr(record, "tenant_id", None),
        }
        for key, value in record.__dict__.items():
            if key not in self.own and key not in document:
                document[key] = value
        return JsonFormatter.encode({k: v for k, v in document.items() if v is not None}) + "\n"


def set_up_logging(sink):
    logging.Formatter.converter = time.gmtime
    handler = LambdaLoggerHandler(sink)
    handler.setFormatter(JsonFormatter() if IS_JSON else logging.Formatter(
        "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n", "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(LambdaLoggerFilter())
    root = logging.getLogger()
    if LOG_LEVEL in logging._nameToLevel:
        root.setLevel(LOG_LEVEL)
    root.addHandler(handler)


# ---- the context


class Members:
    """An object with the members of a document."""

    names = ()

    def __init__(self, document):
        for name in self.names:
            setattr(self, name, document.get(name))

    def __repr__(self):
        return "%s([%s])" % (type(self).__name__, ",".join("%s=%s" % (name, getattr(self, name)) for name in self.names))


class CognitoIdentity(Members):
    names = __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(Members):
    names = __slots__ = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")


class ClientContext(Members):
    names = __slots__ = ("custom", "env", "client")


def parse_header(text, name):
    try:
        return loads(text)
    except Exception as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (name, error))


class LambdaContext:
    def __init__(self, headers):
        environ = os.environ
        self.aws_request_id = headers["lambda-runtime-aws-request-id"]
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self._w3c, self.client_context = {}, None
        text = headers.get("lambda-runtime-client-context")
        document = parse_header(text, "Client Context") if text else None
        if document is not None:
            w3c = document.pop("w3c", None)
            if isinstance(w3c, dict):
                self._w3c = {k: w3c[k] for k in ("traceparent", "tracestate", "baggage") if isinstance(w3c.get(k), str)}
            self.client_context = ClientContext(document)
            if self.client_context.client is not None:
                self.client_context.client = Client(self.client_context.client)
        text = headers.get("lambda-runtime-cognito-identity")
        document = parse_header(text, "Cognito Identity") if text else {}
        self.identity = CognitoIdentity({
            "cognito_identity_id": document.get("cognitoIdentityId"), "cognito_identity_pool_id": document.get("cognitoIdentityPoolId")})
        self._epoch_deadline_time_in_ms = int(headers["lambda-runtime-deadline-ms"])

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def w3c(self):
        return dict(self._w3c)

    def log(self, message):
        for handler in logging.getLogger().handlers:
            if hasattr(handler, "log_sink"):
                handler.log_sink.log(str(message))
                return
        sys.stdout.write(str(message))

    def __repr__(self):
        names = ("aws_request_id", "log_group_name", "log_stream_name", "function_name", "memory_limit_in_mb",
                 "function_version", "invoked_function_arn", "client_context", "identity", "tenant_id")
        return "LambdaContext([%s])" % ",".join("%s=%s" % (name, getattr(self, name)) for name in names)


# ---- loading the handler


def missing(error):
    """How to install the modules that AWS's runtime brings along."""
    if (error.name or "").split(".")[0] in ("boto3", "botocore"):
        return " (on AWS it is part of the runtime; install it here with: pip install boto3)"
    return ""


def load(handler):
    try:
        path, name = handler.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (handler, error))
    try:
        if path.split(".")[0] in sys.builtin_module_names:
            raise Fault("Runtime.BuiltInModuleConflict", "Cannot use built-in module %s as a handler module" % path)
        module = importlib.import_module(path.replace("/", "."))
    except ImportError as error:
        raise Fault("Runtime.ImportModuleError", "Unable to import module '%s': %s%s" % (path, error, missing(error)))
    except SyntaxError as error:
        raise Fault("Runtime.UserCodeSyntaxError", "Syntax error in module '%s': %s" % (path, error),
                    ['  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)])
    try:
        return getattr(module, name)
    except AttributeError:
        raise Fault("Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (name, path))


def set_path():
    """The package comes first, then the standard library, the project, the machine."""
    sys.path[0] = os.environ["LAMBDA_TASK_ROOT"]
    more = [p for p in os.environ.pop("MILLSTREAM_MODULES", "").split(os.pathsep) if p]
    site = next((i for i, p in enumerate(sys.path) if i and p.endswith(("site-packages", "dist-packages"))), len(sys.path))
    sys.path[site:site] = more


# ---- one call after the other


def handle(runtime, function, headers, body, sink):
    request_id = headers["lambda-runtime-aws-request-id"]
    try:
        context = LambdaContext(headers)
        event = body
        if headers.get("content-type") == "application/json":
            try:
                event = loads(body)
            except Exception as error:
                raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        result = function(event, context)
        if isinstance(result, bytes):
            answer, kind = result, b"application/unknown"
        else:
            try:
                answer, kind = encode(result), b"application/json"
            except Exception as error:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
    except Fault as fault:
        document = error_document(fault.message, fault.kind, fault.trace, request_id)
        cause = cause_of("LambdaValidationError", fault.message, [])
    except Exception:
        kind, error, tb = sys.exc_info()
        stack = frames(tb)
        document = error_document(str(error), kind.__name__, traceback.format_list(stack), request_id)
        cause = cause_of(kind.__name__, str(error), stack)
    else:
        if isinstance(answer, str):
            answer = answer.encode("utf-8")
        runtime.post("success", "invocation/%s/response" % request_id, answer, b"content-type: " + kind + b"\r\n")
        return
    log_error(sink, document)
    runtime.fail(request_id, document, cause)


def main():
    set_path()
    # The handler's folder holds code that other processes run too.
    sys.dont_write_bytecode = True
    sink = LogSink()
    set_up_logging(sink)
    if EXECUTION_ENV == "AWS_Lambda_python3.15" and not os.environ.get("LAMBDA_DISABLE_PREVIEW_WARN"):
        logging.warning("LAMBDA_WARNING: This is a preview runtime version and should not be used for production workloads. "
                        "For further information and to provide feedback, see https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html\r")
    runtime = Runtime()
    document = None
    try:
        function = load(os.environ["_HANDLER"])
    except Fault as fault:
        document = error_document(fault.message, fault.kind, fault.trace)
    except Exception:
        kind, error, tb = sys.exc_info()
        document = error_document(str(error), kind.__name__, traceback.format_list(frames(tb)))
    if document is not None:
        logging.warning(UNHANDLED)
        log_error(sink, document)
        runtime.call("POST", "init/error", encode(document).encode("utf-8"),
                     ("Lambda-Runtime-Function-Error-Type: %s\r\n" % document["errorType"]).encode("utf-8"))
        sys.exit(1)
    while True:
        headers, body = runtime.next()
        LambdaLoggerFilter.request_id = headers["lambda-runtime-aws-request-id"]
        LambdaLoggerFilter.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        trace = headers.get("lambda-runtime-trace-id")
        if trace is not None:
            os.environ["_X_AMZN_TRACE_ID"] = trace
        else:
            os.environ.pop("_X_AMZN_TRACE_ID", None)
        handle(runtime, function, headers, body, sink)


main()

#!/usr/bin/env python3
r"""Measures the part of each function's cold start that the function itself determines.

This is the time from process start to the request for the first event, the time of the first event, the peak memory
afterwards, and the size of the zip.

    bash .ci/run                                   # or: source .ci/steps.sh && sam_tools && lambda_binaries
    cargo build --release --config 'profile.release.lto="fat"' --config 'profile.release.opt-level="s"' \
        --config 'profile.release.package."*".opt-level="z"' --package service --features lambda --example empty
    python3 tests/cold-start.py target/ci/sam target/release/examples/empty

The functions run one at a time, alternating with an empty function. This script serves the Lambda runtime API and the
AWS APIs on 127.0.0.1. The events are requests with an unknown key: the first event reads the pepper from Secrets
Manager, and each event reads DynamoDB. The figures do not contain the start of the sandbox, the loading of the zip and
TLS, which belong to AWS and the network.

As root, the script also measures the users function with less memory. Lambda gives a whole CPU to a function with
1,769 MB, and a proportional share to a function with less.
"""

import http.server, io, json, os, pathlib, statistics, subprocess, sys, threading, time, zipfile, zlib

RUNS = int(os.environ.get("RUNS", "60"))
EVENTS = 20
WHOLE_CPU = 1769
# The path of the request to each function. The janitor ignores the content of its event.
PATHS = {"Users": "/v2/Users", "Groups": "/v2/Groups", "Bulk": "/v2/Bulk", "Discovery": "/v2/Schemas",
         "Token": "/.well-known/oauth-authorization-server", "Janitor": None}


def key():
    """Returns an unknown key with a valid checksum."""
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    text = "scim_unknown_" + "0" * 43
    crc, checksum = zlib.crc32(text.encode()), ""
    for _ in range(6):
        crc, digit = divmod(crc, 62)
        checksum = digits[digit] + checksum
    return text + checksum


def event(path):
    headers = {"Authorization": f"Bearer {key()}", "Host": "scim.test"}
    return {
        "resource": "/{proxy+}", "path": path, "httpMethod": "POST" if path == "/v2/Bulk" else "GET",
        "headers": headers, "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None, "multiValueQueryStringParameters": None, "pathParameters": None,
        "stageVariables": None, "body": None, "isBase64Encoded": False,
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1b2c3d4e5", "domainName": "scim.test", "httpMethod": "GET",
            "identity": {"sourceIp": "192.0.2.1"}, "path": "/scim" + path, "protocol": "HTTP/1.1", "stage": "scim",
            "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef", "resourceId": "abc123", "resourcePath": "/{proxy+}",
        },
    }


class Aws(http.server.BaseHTTPRequestHandler):
    """The Lambda runtime API, Secrets Manager and DynamoDB, reduced to the needs of one event."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # Sends header and body in one packet.

    def reply(self, status, body, **headers):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if len(self.server.requested) == EVENTS:
            return self.server.stopped.wait()  # There are no more events.
        self.server.requested.append(time.perf_counter())
        deadline = str(int(time.time() * 1000) + 28000)
        arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
        self.reply(200, self.server.event, Lambda_Runtime_Aws_Request_Id="1", Lambda_Runtime_Deadline_Ms=deadline,
                   Lambda_Runtime_Invoked_Function_Arn=arn)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if operation == "GetSecretValue":
            self.reply(200, b'{"SecretString": "pepper"}')
        elif operation:
            self.reply(200, b'{"Responses": {}, "UnprocessedKeys": {}}')
        else:
            self.server.answered.append(time.perf_counter())
            self.server.answer = body
            self.reply(202, b"{}")
            if len(self.server.answered) == EVENTS:
                self.server.done.set()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, event):
        super().__init__(("127.0.0.1", 0), Aws)
        self.event, self.requested, self.answered, self.answer = event, [], [], None
        self.done, self.stopped = threading.Event(), threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_):
        pass  # The process was killed with a connection open.


def run(bootstrap, path, group=None):
    """Runs a function, in a control group if one is given.

    Returns the milliseconds until it requests the first event, the milliseconds of the first event, the mean
    milliseconds of the other events, and the peak memory in MB."""
    server = Server(json.dumps(event(path or "/")).encode())
    address = f"127.0.0.1:{server.server_port}"
    environment = {
        "AWS_LAMBDA_RUNTIME_API": address, "AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512", "AWS_LAMBDA_LOG_GROUP_NAME": "g", "AWS_LAMBDA_LOG_STREAM_NAME": "s",
        "AWS_ENDPOINT_URL": f"http://{address}", "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test", "SCIM_PEPPER_SECRET_ID": "pepper", "SCIM_STACK": "scim",
    }
    began = time.perf_counter()
    process = subprocess.Popen([bootstrap], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if group:
        (group / "cgroup.procs").write_text(str(process.pid))
    try:
        if not server.done.wait(10):
            raise SystemExit(f"{bootstrap} did not answer in 10 seconds")
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    finally:
        process.kill()
        process.wait()
        server.stopped.set()
        server.shutdown()
        server.server_close()
    if path and b'"statusCode":401' not in server.answer:
        raise SystemExit(f"{bootstrap} answered {server.answer[:300]}")
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    first, *others = [1000 * (answered - requested) for requested, answered in zip(server.requested, server.answered)]
    return 1000 * (server.requested[0] - began), first, statistics.fmean(others), peak / 1024


def megabytes(bootstrap):
    """Returns the size of the binary and of its zip in megabytes."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(bootstrap, "bootstrap")
    return os.path.getsize(bootstrap) / 1e6, len(zipped.getvalue()) / 1e6


def limited(memory):
    """Returns a control group with the CPU share of this memory size, or None without permission to create one."""
    version_1 = pathlib.Path("/sys/fs/cgroup/cpu")
    root = version_1 if version_1.is_dir() else pathlib.Path("/sys/fs/cgroup")
    period = 20_000
    quota = period * memory // WHOLE_CPU
    try:
        group = root / "scim-cold-start"
        group.mkdir(exist_ok=True)
        if root == version_1:
            (group / "cpu.cfs_period_us").write_text(str(period))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        else:
            (group / "cpu.max").write_text(f"{quota} {period}")
        return group
    except OSError:
        return None


def main():
    directory, empty = map(pathlib.Path, sys.argv[1:])
    functions = {"empty": (empty, None)}
    functions |= {name: (directory / f"{name}Function" / "bootstrap", path) for name, path in PATHS.items()}
    measured = {name: [] for name in functions}
    for _ in range(RUNS):
        for name, (bootstrap, path) in functions.items():
            measured[name].append(run(bootstrap, path))
    p50 = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in measured.items()}
    print(f"Medians of {RUNS} runs. Sizes are in 10^6 bytes, memory in 2^20 bytes.\n")
    print("| function | exec to `/next` | ratio | first event | later event | memory | binary | zip |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (bootstrap, _) in functions.items():
        binary, zipped = megabytes(bootstrap)
        start, first, later, peak = p50[name]
        ratio = start / p50["empty"][0]
        times = f"{start:.2f} ms | {ratio:.1f} | {first:.2f} ms | {later:.2f} ms | {peak:.1f} MB"
        print(f"| {name.lower()} | {times} | {binary:.2f} MB | {zipped:.2f} MB |")

    if not limited(WHOLE_CPU):
        return
    print("\n| memory | exec to `/next` | first event | later event |")
    print("|---|---|---|---|")
    for memory in [128, 256, 512, 1024, WHOLE_CPU]:
        rows = [run(*functions["Users"], limited(memory)) for _ in range(RUNS)]
        start, first, later, _ = [statistics.median(column) for column in zip(*rows)]
        print(f"| {memory} MB | {start:.1f} ms | {first:.1f} ms | {later:.2f} ms |")


main()

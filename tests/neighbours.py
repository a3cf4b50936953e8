#!/usr/bin/env python3
"""Measures the reads of one organisation on the local gateway beside heavy requests of another organisation.

    cargo build --release -p local -p scimctl
    python3 tests/neighbours.py                       # target/release/scim-local
    python3 tests/neighbours.py path/to/scim-local    # another binary

The organisation acme has 20,000 users and makes the heavy requests. Meanwhile the organisation globex reads one user
again and again. The table has the times of these reads. BENCHMARKS.md publishes it.
"""

import http.client
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time

USERS = 20_000
PAUSE = 0.005
BULK = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RELEASE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "target", "release")


class Client:
    """A connection with the key of an organisation."""

    def __init__(self, port, key):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {"authorization": f"Bearer {key}", "content-type": "application/scim+json"}

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(method, f"/scim/v2{path}", data, self.headers)
        response = self.connection.getresponse()
        content = response.read()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {content[:300]!r}")
        return json.loads(content) if content else None


def start(binary, data):
    """Starts a gateway on a free port. Returns the process, the port and the settings of connection.env."""
    process = subprocess.Popen([binary, "--port", "0", "--data", data], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, env=os.environ | {"SCIM_LOG": "warn"})
    path = os.path.join(data, "connection.env")
    while not os.path.exists(path):
        if process.poll() is not None:
            raise SystemExit("the gateway does not start")
        time.sleep(0.05)
    settings = dict(line.strip().split("=", 1) for line in open(path, encoding="utf-8"))
    return process, int(settings["SCIM_BASE_URL"].split(":")[2].split("/")[0]), settings


def operator(settings, data, *arguments):
    environment = os.environ | {"AWS_ENDPOINT_URL_DYNAMODB": settings["AWS_ENDPOINT_URL_DYNAMODB"]}
    command = [os.path.join(RELEASE, "scimctl"), *arguments, "--data", data]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def in_parallel(functions):
    threads = [threading.Thread(target=function) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def create(client, prefix, numbers):
    operations = [{"method": "POST", "path": "/Users", "bulkId": str(number),
                   "data": {"userName": f"{prefix}{number}@example.com", "title": f"Engineer {number}",
                            "emails": [{"value": f"{prefix}{number}@example.com", "type": "work"}]}}
                  for number in numbers]
    answer = client.call("POST", "/Bulk", {"schemas": [BULK], "Operations": operations})
    return [operation["location"].rsplit("/", 1)[1] for operation in answer["Operations"]]


def measure(name, reader, path, requests):
    times, done = [], threading.Event()

    def read():
        while not done.is_set():
            began = time.monotonic()
            reader.call("GET", path)
            times.append(1000 * (time.monotonic() - began))
            time.sleep(PAUSE)

    reading = threading.Thread(target=read)
    reading.start()
    began = time.monotonic()
    in_parallel(requests)
    seconds = time.monotonic() - began
    done.set()
    reading.join()
    times.sort()
    p99 = times[math.ceil(len(times) * 0.99) - 1]
    print(f"| {name} | {len(times)} | {statistics.median(times):.1f} | {p99:.1f} | {times[-1]:.1f} | {seconds:.1f} |", flush=True)


def main():
    binary = sys.argv[1] if len(sys.argv) > 1 else os.path.join(RELEASE, "scim-local")
    with tempfile.TemporaryDirectory() as data:
        process, port, settings = start(binary, data)
        try:
            run(port, settings, data)
        finally:
            process.terminate()
            process.wait()


def run(port, settings, data):
    operator(settings, data, "org", "create", "globex")
    created = operator(settings, data, "key", "create", "--org", "globex", "--scope", "scim", "--output", "json")
    reader = Client(port, json.loads(created)["key"])
    path = f"/Users/{create(reader, 'reader', [0])[0]}"

    def acme():
        return Client(port, settings["SCIM_TOKEN"])

    ids = []
    slices = [range(first, first + 500) for first in range(0, USERS, 500)]

    def load(part):
        client = acme()
        for numbers in part:
            ids.extend(create(client, "user", numbers))

    in_parallel([lambda part=slices[number::4]: load(part) for number in range(4)])
    groups = []

    def get(target):
        return lambda: acme().call("GET", target)

    def put(number):
        def request():
            client = acme()
            group = {"displayName": f"Group {number}"}
            groups.append(client.call("POST", "/Groups", group)["id"])
            members = [{"value": identifier} for identifier in ids]
            client.call("PUT", f"/Groups/{groups[-1]}", group | {"members": members})
        return request

    def read_users():
        client = acme()
        for identifier in ids[:100]:
            client.call("GET", f"/Users/{identifier}")

    scan = get("/Users?filter=title%20co%20%22zzz%22&count=10")
    print("| Requests of acme | Reads | p50, ms | p99, ms | Slowest, ms | Seconds |\n|---|---|---|---|---|---|")
    measure("2 scans (`title co`)", reader, path, [scan] * 2)
    measure("8 sorted lists (`sortBy=title`)", reader, path, [get("/Users?sortBy=title&count=10")] * 8)
    measure("16 scans", reader, path, [scan] * 16)
    bulks = [lambda number=number: create(acme(), f"bulk{number}-", range(1_000)) for number in range(4)]
    measure("4 bulk requests of 1,000 users", reader, path, bulks)
    measure(f"PUT of {USERS:,} members", reader, path, [put(1)])
    measure(f"2 PUTs of {USERS:,} members", reader, path, [put(2), put(3)])
    delete = lambda: acme().call("DELETE", f"/Groups/{groups[0]}")
    measure(f"DELETE of a group of {USERS:,}, 8 readers", reader, path, [delete] + [read_users] * 8)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Measures `scimctl org import`, `export` and `delete` with 100,000 users on the local gateway (BENCHMARKS.md).

Usage: python3 tests/transfer-figures.py [USERS]

Starts target/release/scim-local on a new data directory, and prints the time and the peak memory of each command of
target/release/scimctl. The exported file must equal the imported one.
"""

import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE = os.environ.get("SCIM_PROGRAMS", os.path.join(ROOT, "target", "release"))
USERS = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
GROUPS = USERS // 100
TIME = "2026-11-27T12:00:00.000Z"
SETTINGS = {"tokenMinutes": 60, "rate": 50, "burst": 200, "atOnce": 4}


def resource_id(kind, number):
    return f"01938000-0000-7000-{kind}000-{number:012x}"


def record(kind, number, document):
    return {kind: {"id": resource_id("8" if kind == "user" else "9", number), "version": f"{number:016x}",
                   "created": TIME, "modified": TIME, "document": document}}


def write_export(path):
    """Writes USERS users of about 350 bytes, and groups of 100 users each."""
    with open(path, "w", encoding="utf-8") as out:
        def line(value):
            out.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n")
        line({"organisation": {"format": 1, "name": "big", "enabled": True, "created": TIME, "settings": SETTINGS}})
        for number in range(USERS):
            name = f"user-{number:06}@example.com"
            line(record("user", number, {
                "externalId": f"00u{number:08}", "userName": name,
                "name": {"familyName": f"Łukasz-{number}", "givenName": "Zoë"},
                "displayName": f"Zoë Łukasz-{number}", "title": "Engineer", "active": True,
                "emails": [{"value": name, "type": "work", "primary": True}],
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Research"}}))
        for number in range(GROUPS):
            line(record("group", number, {"displayName": f"group-{number:05}"}))
            for member in range(number * 100, number * 100 + 100):
                line({"member": {"group": resource_id("9", number), "member": resource_id("8", member),
                                 "kind": "user"}})
        line({"end": {"users": USERS, "groups": GROUPS, "members": GROUPS * 100}})


def write_table(path):
    with open(path, "w", encoding="utf-8") as out:
        out.write("userName,givenName,familyName,displayName,email,externalId,active,title,department\n")
        for number in range(USERS):
            name = f"person-{number:06}@example.com"
            out.write(f"{name},Zoë,Łukasz-{number},Zoë Łukasz-{number},{name},00p{number:08},true,Engineer,Research\n")


def measure(directory, label, *arguments):
    began = time.monotonic()
    child = subprocess.Popen([os.path.join(RELEASE, "scimctl"), *arguments], cwd=directory,
                             stdout=subprocess.PIPE, text=True)
    printed = child.stdout.read().strip()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - began
    print(f"| {label} | {seconds:.0f} s | {usage.ru_maxrss / 1024:.0f} MB | {printed} |", flush=True)
    if status != 0:
        sys.exit(f"{label} failed")


def main():
    with tempfile.TemporaryDirectory() as directory:
        gateway = subprocess.Popen([os.path.join(RELEASE, "scim-local"), "--port", "0"], cwd=directory,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while not os.path.exists(os.path.join(directory, ".scim", "connection.env")):
                time.sleep(0.1)
            given, again = os.path.join(directory, "given.ndjson"), os.path.join(directory, "again.ndjson")
            write_export(given)
            write_table(os.path.join(directory, "people.csv"))
            print(f"{os.path.getsize(given) / 1e6:.0f} MB of records", flush=True)
            measure(directory, "import with ids", "org", "import", "big", "--file", given)
            measure(directory, "export", "org", "export", "big", "--file", again)
            if not filecmp.cmp(given, again, shallow=False):
                sys.exit("the exported file differs from the imported one")
            measure(directory, "disable", "org", "disable", "big")
            measure(directory, "import again", "org", "import", "big", "--file", given)
            measure(directory, "import of a table", "org", "import", "acme", "--file", "people.csv")
            measure(directory, "delete", "org", "delete", "big", "--confirm", "big")
        finally:
            gateway.terminate()
            gateway.wait()


main()

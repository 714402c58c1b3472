"""Says in Keystone's database where Keystone and Swift are: the port is known only at the start.

catalogue.py DATABASE PORT
"""

import json
import sqlite3
import sys

PLACES = {"identity": "/identity/v3", "object-store": "/v1/AUTH_$(project_id)s"}


def main(database, port):
    with sqlite3.connect(database) as connection:
        connection.execute("delete from endpoint")
        connection.execute("delete from service")
        for kind, path in PLACES.items():
            service = kind.ljust(32, "0")
            connection.execute("insert into service (id, type, enabled, extra) values (?, ?, 1, ?)", (service, kind, json.dumps({"name": kind})))
            connection.execute(
                "insert into endpoint (id, interface, service_id, url, enabled, region_id, extra) values (?, 'public', ?, ?, 1, 'lab', '{}')",
                (service, service, f"http://127.0.0.1:{port}{path}"),
            )


main(*sys.argv[1:])

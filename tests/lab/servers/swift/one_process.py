"""OpenStack Swift in one process: proxy, account, container and object server, one replica of everything, on one folder.

one_process.py PORT DIR             with Swift's own TempAuth
one_process.py PORT DIR keystone    with Keystone beside it, below /identity; DIR holds its configuration
"""

import os
import sys
from time import time as now

import eventlet

eventlet.patcher.monkey_patch()

from eventlet import wsgi
from swift.common.http_protocol import SwiftHttpProtocol
from swift.common.ring import RingBuilder
from swift.common.utils import NullLogger, set_swift_dir
from swift.common.wsgi import loadapp

# What is slow on a busy machine must not become a listing that is wrong: no daemon runs here that would repair it.
COMMON = """[DEFAULT]
swift_dir = {dir}
devices = {dir}/data
mount_check = false
"""
BACKEND = """[app:main]
use = egg:swift#{kind}
conn_timeout = 30
node_timeout = 60
container_update_timeout = 60
"""
PROXY = """[pipeline:main]
pipeline = catch_errors bulk slo {auth} proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
conn_timeout = 30
node_timeout = 60
error_suppression_limit = 1000000000
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:bulk]
use = egg:swift#bulk
[filter:slo]
use = egg:swift#slo
[filter:tempauth]
use = egg:swift#tempauth
user_holdfast_backup = holdfast-secret .admin
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = http://127.0.0.1:{port}/identity
auth_url = http://127.0.0.1:{port}/identity
auth_type = password
project_domain_id = default
user_domain_id = default
project_name = holdfast
username = backup
password = holdfast-secret
interface = public
delay_auth_decision = true
cache = swift.cache
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = admin
"""


class Tokens:
    """What memcached is to Swift, as far as tempauth and the proxy ask."""

    def __init__(self):
        self.kept = {}

    def get(self, key, **_):
        value, end = self.kept.get(key, (None, 0))
        return value if not end or end > now() else None

    def set(self, key, value, time=0, **_):
        self.kept[key] = (value, time and now() + time)

    def incr(self, key, delta=1, time=0):
        self.set(key, max(0, int(self.get(key) or 0) + delta), time)
        return self.get(key)

    def delete(self, key, **_):
        self.kept.pop(key, None)


def with_tokens(app):
    tokens = Tokens()

    def call(environ, start_response):
        environ["swift.cache"] = tokens
        return app(environ, start_response)

    return call


def keystone(folder):
    os.environ["OS_KEYSTONE_CONFIG_DIR"] = folder
    del sys.argv[1:]  # Keystone would read them
    from keystone.server.wsgi import initialize_public_application

    return initialize_public_application()


def with_identity(app, identity):
    def call(environ, start_response):
        path = environ["PATH_INFO"]
        if path != "/identity" and not path.startswith("/identity/"):
            return app(environ, start_response)
        environ["SCRIPT_NAME"] = "/identity"
        environ["PATH_INFO"] = path.removeprefix("/identity") or "/"
        return identity(environ, start_response)

    return call


def configuration(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def ring(folder, kind, port):
    builder = RingBuilder(part_power=1, replicas=1, min_part_hours=0)
    device = {"region": 1, "zone": 1, "weight": 1, "device": "disk", "ip": "127.0.0.1", "port": port}
    builder.add_dev(device | {"replication_ip": "127.0.0.1", "replication_port": port})
    builder.rebalance()
    builder.get_ring().save(os.path.join(folder, f"{kind}.ring.gz"))


def serve(socket, app):
    return eventlet.spawn(wsgi.server, socket, app, NullLogger(), protocol=SwiftHttpProtocol, capitalize_response_headers=False)


def main(port, folder, identity=None):
    os.makedirs(os.path.join(folder, "data", "disk"), exist_ok=True)
    configuration(folder, "swift.conf", "[swift-hash]\nswift_hash_path_suffix = holdfast\n")
    set_swift_dir(folder)
    common = COMMON.format(dir=folder)
    sockets = {kind: eventlet.listen(("127.0.0.1", 0)) for kind in ("account", "container", "object")}
    for kind, socket in sockets.items():
        ring(folder, kind, socket.getsockname()[1])
    for kind, socket in sockets.items():
        serve(socket, loadapp(configuration(folder, f"{kind}.conf", common + BACKEND.format(kind=kind))))
    # Keystone first: it reads its configuration for whatever is registered by then, which would be Swift's side too.
    beside = keystone(os.path.join(folder, "keystone")) if identity else None
    auth = "authtoken keystoneauth" if identity else "tempauth"
    app = with_tokens(loadapp(configuration(folder, "proxy.conf", common + PROXY.format(auth=auth, port=port))))
    serve(eventlet.listen(("127.0.0.1", port)), with_identity(app, beside) if beside else app).wait()


main(int(sys.argv[1]), *sys.argv[2:])

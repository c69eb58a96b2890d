"""OpenStack Swift with its S3 interface in one process: for a Python that has Debian's swift packages, not for ours.

`python3 swift_server.py FOLDER PORT` serves until it is stopped. Accounts and containers are SQLite files in the
folder; objects lie in memory, so that no file system with extended attributes is needed.
"""

import configparser
import getpass
import sys
from pathlib import Path

import eventlet

eventlet.monkey_patch()

from eventlet import wsgi  # noqa: E402
from swift.common import utils  # noqa: E402

ACCESS_KEY, SECRET_KEY = "test:tester", "testing"
_PIPELINE = "catch_errors listing_formats s3api tempauth copy slo dlo proxy-server"


def main(folder: str, port: int) -> None:
    Path(folder, "disk").mkdir(exist_ok=True)
    write(folder + "/swift.conf", {"swift-hash": {"swift_hash_path_prefix": "a", "swift_hash_path_suffix": "b"}})
    utils.SWIFT_CONF_FILE = folder + "/swift.conf"
    # These read the file above when they are imported.
    from swift.common.ring import RingBuilder
    from swift.common.storage_policy import POLICIES
    from swift.common.wsgi import loadapp

    POLICIES.default  # noqa: B018
    utils.validate_hash_conf()
    common = {"swift_dir": folder, "devices": folder, "mount_check": "false", "log_level": "ERROR",
              "user": getpass.getuser()}  # fmt: skip
    servers = []
    for kind, app in (("account", "account"), ("container", "container"), ("object", "mem_object")):
        socket = eventlet.listen(("127.0.0.1", 0))
        device = {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": socket.getsockname()[1], "device": "disk"}
        builder = RingBuilder(1, 1, 0)
        builder.add_dev({**device, "id": 0, "weight": 1.0, "replication_ip": "127.0.0.1",
                         "replication_port": device["port"], "meta": ""})  # fmt: skip
        builder.rebalance()
        builder.get_ring().save(f"{folder}/{kind}.ring.gz")
        write(f"{folder}/{kind}.conf", {"DEFAULT": common, f"app:{kind}-server": {"use": f"egg:swift#{app}"},
                                        "pipeline:main": {"pipeline": f"{kind}-server"}})  # fmt: skip
        servers.append((socket, f"{folder}/{kind}.conf"))
    write(folder + "/proxy.conf", {
        "DEFAULT": common,
        "pipeline:main": {"pipeline": _PIPELINE},
        "app:proxy-server": {"use": "egg:swift#proxy", "account_autocreate": "true"},
        "filter:catch_errors": {"use": "egg:swift#catch_errors"},
        "filter:listing_formats": {"use": "egg:swift#listing_formats"},
        "filter:s3api": {"use": "egg:swift#s3api", "location": "us-east-1", "s3_acl": "false"},
        "filter:tempauth": {"use": "egg:swift#tempauth", "user_test_tester": f"{SECRET_KEY} .admin"},
        "filter:copy": {"use": "egg:swift#copy"},
        "filter:slo": {"use": "egg:swift#slo", "rate_limit_after_segment": "10000"},
        "filter:dlo": {"use": "egg:swift#dlo"},
    })  # fmt: skip
    servers.append((eventlet.listen(("127.0.0.1", port)), folder + "/proxy.conf"))
    threads = []
    for socket, file in servers:
        app = with_cache(loadapp(file))
        threads.append(eventlet.spawn(wsgi.server, socket, app, log_output=False, debug=False))
    print("Swift is ready.", flush=True)
    for thread in threads:
        thread.wait()


class Forgetful:
    """A cache that keeps nothing: Swift asks for one, memcached as a rule, and works without what is in it."""

    def get(self, *_, **__):
        return None

    def set(self, *_, **__):
        return None

    delete = set

    def incr(self, *_, **__):
        return 1


def with_cache(app):
    """An application that finds a cache in its environment."""

    def answer(environ, start_response):
        environ["swift.cache"] = Forgetful()
        return app(environ, start_response)

    return answer


def write(path: str, sections: dict) -> None:
    parser = configparser.RawConfigParser()
    parser.optionxform = str
    for section, values in sections.items():
        if section != "DEFAULT":
            parser.add_section(section)
        for name, value in values.items():
            parser.set(section, name, value)
    with Path(path).open("w") as file:
        parser.write(file)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""https-server.py --cert FILE --key FILE [--token-file FILE] [--client-ca FILE] [--log FILE]

A stand-in for kube-apiserver, for the tests and the demo: HTTPS on a free port of 127.0.0.1, whose
number is printed. Answers a few read requests, as JSON, to whoever shows the bearer token (the
contents of --token-file) or a certificate of the given authority; a Status of 401 to others. Goes
away by itself after ten minutes, or on SIGTERM.
"""
import argparse
import hmac
import http.server
import json
import os
import signal
import ssl
import sys
import threading

VERSION = {"major": "1", "minor": "32", "gitVersion": "v1.32.0", "platform": "linux/amd64"}
API = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/version": VERSION,
    "/api/v1": {
        "kind": "APIResourceList", "groupVersion": "v1",
        "resources": [{"name": "namespaces", "singularName": "namespace", "namespaced": False,
                       "kind": "Namespace", "verbs": ["get", "list"], "shortNames": ["ns"]}],
    },
    "/api/v1/namespaces/default": {
        "kind": "Namespace", "apiVersion": "v1",
        "metadata": {"name": "default", "uid": "6a1f0000-0000-4000-8000-000000000001",
                     "creationTimestamp": "2024-01-01T00:00:00Z"},
        "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"},
    },
}
LIFETIME_SECONDS = 600


def status(code, reason, message):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    token = b""

    def identity(self):
        """Who asks, or None."""
        certificate = self.connection.getpeercert()
        if certificate:
            for part in certificate.get("subject", ()):
                for name, value in part:
                    if name == "commonName":
                        return value
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if self.token and scheme == "Bearer" and hmac.compare_digest(given.encode(), self.token):
            return "token"
        return None

    def do_GET(self):
        path = self.path.partition("?")[0].rstrip("/")
        who = self.identity()
        if who is None:
            self.reply(401, status(401, "Unauthorized", "Unauthorized"))
        elif path in API:
            self.reply(200, API[path], who)
        else:
            self.reply(404, status(404, "NotFound", "the server could not find " + path), who)

    def reply(self, code, document, who="nobody"):
        body = json.dumps(document).encode() + b"\n"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.server.say("%s %s %d\n" % (who, self.path, code))

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    log = None

    def say(self, line):
        if self.log:
            with open(self.log, "a", encoding="utf-8") as f:
                f.write(line)

    def handle_error(self, request, client_address):
        self.say("error: %s\n" % sys.exc_info()[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cert", required=True)
    parser.add_argument("--key", required=True)
    parser.add_argument("--token-file")
    parser.add_argument("--client-ca")
    parser.add_argument("--log", help="a line a request: identity, path, status")
    args = parser.parse_args()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(args.cert, args.key)
    if args.client_ca:
        context.load_verify_locations(args.client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    if args.token_file:
        with open(args.token_file, "rb") as f:
            Handler.token = f.read().strip()
    server = Server(("127.0.0.1", 0), Handler)
    server.log = args.log
    # The handshake belongs to the request's thread, so that one silent client holds up nobody.
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, lambda *_: os._exit(0))
    signal.alarm(LIFETIME_SECONDS)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()

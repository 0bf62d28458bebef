#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""csr-server.py FOLDER APPROVER INVENTORY: the API server's CertificateSigningRequest API, an approver and a signer.

HTTPS on a free port of 127.0.0.1, which is written to FOLDER/port. As kube-apiserver does, it refuses what is no request,
a name twice, a change, who is nobody; stamps uid, time and requester; and lets a bootstrap token (FOLDER/token) and nodes
(client certificates of FOLDER/ca.crt) create, get and list requests, and nothing else. What is created is reviewed by
"APPROVER review" with INVENTORY, as a daemon would, unless FOLDER/pause exists; what is approved for the kubelet's signer
is signed with FOLDER/ca.key, as kube-controller-manager does. All requests are in FOLDER/requests.json. While FOLDER/fail
has a number, requests get that status; while FOLDER/lose exists, what is created next is, and 503 is answered. FOLDER/hostile
says how a hostile server lies: see hostile(). Goes away after ten minutes, or on SIGTERM.
"""
import base64
import datetime
import hmac
import http.server
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import uuid

folder, approver, inventory = sys.argv[1:4]
PATH = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
USAGES = {"signing", "digital signature", "key encipherment", "client auth", "server auth"}
objects, lock = {}, threading.Lock()


class Refused(Exception):
    def __init__(self, code, reason, message):
        super().__init__(message)
        self.code, self.reason = code, reason


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def first_block(request):
    text = request.decode()
    begin, end = text.index("-----BEGIN CERTIFICATE REQUEST-----"), text.index("-----END CERTIFICATE REQUEST-----")
    return text[begin:end + len("-----END CERTIFICATE REQUEST-----")] + "\n"


def check(body):
    spec, name = body["spec"], body["metadata"]["name"]
    if body["apiVersion"] != "certificates.k8s.io/v1" or body["kind"] != "CertificateSigningRequest":
        raise Refused(400, "BadRequest", "not a CertificateSigningRequest")
    if name in objects:
        raise Refused(409, "AlreadyExists", 'certificatesigningrequests "%s" already exists' % name)
    if not spec.get("signerName") or "/" not in spec["signerName"]:
        raise Refused(422, "Invalid", "spec.signerName: Invalid value")
    if not spec.get("usages") or set(spec["usages"]) - USAGES:
        raise Refused(422, "Invalid", "spec.usages: Invalid value")
    if spec.get("expirationSeconds", 600) < 600:
        raise Refused(422, "Invalid", "spec.expirationSeconds: Invalid value: may not specify a duration less than 600")
    done = subprocess.run(["openssl", "req", "-verify", "-noout"], input=first_block(base64.b64decode(spec["request"])),
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(422, "Invalid", "spec.request: Invalid value")


def create(body, username, groups):
    check(body)
    body["metadata"].update(uid=str(uuid.uuid4()), creationTimestamp=now().strftime("%Y-%m-%dT%H:%M:%SZ"))
    body["spec"].update(username=username, groups=groups)
    body["status"] = {}
    objects[body["metadata"]["name"]] = body
    if not os.path.exists(folder + "/pause"):
        review()
    save()
    if os.path.exists(folder + "/lose"):
        os.unlink(folder + "/lose")
        raise Refused(503, "ServiceUnavailable", "the answer is lost")
    return body


def review():
    items = json.dumps({"kind": "List", "apiVersion": "v1", "items": list(objects.values())})
    done = subprocess.run([approver, "review", "--inventory", inventory], input=items, capture_output=True, text=True,
                          check=True)
    for line in done.stdout.splitlines():
        verdict = json.loads(line)
        if verdict["verdict"] == "ignore":
            continue
        body = objects[verdict["name"]]
        kind = "Approved" if verdict["verdict"] == "approve" else "Denied"
        body["status"]["conditions"] = [{"type": kind, "status": "True", "reason": verdict["reason"],
                                         "message": verdict["message"]}]
        if kind == "Approved" and body["spec"]["signerName"] == CLIENT:
            body["status"]["certificate"] = base64.b64encode(sign(body).encode()).decode()


def sign(body):
    work = folder + "/sign"
    os.makedirs(work, exist_ok=True)
    for name, text in (("index", ""), ("serial", "%032x\n" % uuid.uuid4().int), ("req", first_block(base64.b64decode(
            body["spec"]["request"]))),
            ("conf", "[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\n"
                     "policy=p\nx509_extensions=x\nunique_subject=no\n[p]\norganizationName=supplied\n"
                     "commonName=supplied\n[x]\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n"
                     "basicConstraints=critical,CA:FALSE\n" % (work, work, work))):
        with open(work + "/" + name, "w", encoding="utf-8") as f:
            f.write(text)
    life = datetime.timedelta(seconds=int(os.environ.get("LIFETIME", body["spec"]["expirationSeconds"])))
    stamp = "%Y%m%d%H%M%SZ"
    begin = now() - datetime.timedelta(seconds=int(os.environ.get("BACKDATE", "300")))
    subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", work + "/conf", "-cert", folder + "/ca.crt", "-keyfile",
                    folder + "/ca.key", "-in", work + "/req", "-out", work + "/crt", "-startdate", begin.strftime(stamp),
                    "-enddate", (now() + life).strftime(stamp), "-preserveDN"], check=True, capture_output=True)
    with open(work + "/crt", encoding="ascii") as f:
        return f.read()


def save():
    with open(folder + "/requests.new", "w", encoding="utf-8") as f:
        json.dump(list(objects.values()), f)
    os.replace(folder + "/requests.new", folder + "/requests.json")


def hostile(body):
    """What is answered instead; bytes are sent as they are."""
    try:
        with open(folder + "/hostile", encoding="ascii") as f:
            what = f.read().strip()
    except FileNotFoundError:
        return body
    body = json.loads(json.dumps(body))
    conditions = body.get("status", {}).get("conditions", [])
    if what == "garbage":
        return b"\x00\xff{"
    if what == "huge":
        return b"[" + b" " * (2 << 20) + b"]"
    if what == "list":
        return b"[]"
    if what == "uid":
        body["metadata"]["uid"] = "../../secrets"
    elif what == "request":
        body["spec"]["request"] = base64.b64encode(b"x").decode()
    elif what == "message" and conditions:
        conditions[0]["message"] = "yes"
    elif what == "blob" and conditions and conditions[0]["message"].startswith("kubetpm-challenge/1 "):
        words = conditions[0]["message"].split(" ")
        blob = base64.b64decode(words[1])
        words[1] = base64.b64encode(blob[:-1] + bytes([blob[-1] ^ 1])).decode()
        conditions[0]["message"] = " ".join(words)
    elif what == "commitment" and conditions and conditions[0]["message"].startswith("kubetpm-challenge/1 "):
        conditions[0]["message"] = conditions[0]["message"][:-64] + "0" * 64
    elif what == "certificate" and "certificate" in body["status"]:
        body["status"]["certificate"] = base64.b64encode(b"no certificate\0").decode()
    elif what == "other" and "certificate" in body["status"]:
        with open(folder + "/ca.crt", "rb") as f:
            body["status"]["certificate"] = base64.b64encode(f.read()).decode()
    return body


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def identity(self):
        certificate = self.connection.getpeercert()
        if certificate:
            names = {k: v for part in certificate["subject"] for k, v in part}
            return names["commonName"], [names["organizationName"], "system:authenticated"]
        with open(folder + "/token", "rb") as f:
            token = f.read().strip()
        scheme, _, given = self.headers.get("Authorization", "").partition(" ")
        if scheme == "Bearer" and hmac.compare_digest(given.encode(), token):
            return "system:bootstrap:abcdef", ["system:bootstrappers", "system:authenticated"]
        raise Refused(401, "Unauthorized", "Unauthorized")

    def answer(self, code, body):
        body = hostile(body)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def serve(self, work):
        try:
            username, groups = self.identity()
            if os.path.exists(folder + "/fail"):
                with open(folder + "/fail", encoding="ascii") as f:
                    raise Refused(int(f.read()), "InternalError", "out of order")
            with lock:
                code, body = work(username, groups)
        except Refused as e:
            code, body = e.code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": e.reason,
                                  "message": str(e), "code": e.code}
        except (KeyError, ValueError, TypeError) as e:
            code, body = 400, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": repr(e), "code": 400}
        self.answer(code, body)

    def do_GET(self):
        def get(_username, _groups):
            name = self.path[len(PATH) + 1:]
            if not self.path.startswith(PATH + "/") or name not in objects:
                raise Refused(404, "NotFound", '"%s" not found' % name)
            return 200, objects[name]
        self.serve(get)

    def do_POST(self):
        data = self.rfile.read(int(self.headers.get("Content-Length", "0")))

        def post(username, groups):
            if self.path != PATH or self.headers.get("Content-Type") != "application/json":
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            return 201, create(json.loads(data), username, groups)
        self.serve(post)

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + "/server.crt", folder + "/server.key")
    context.load_verify_locations(folder + "/ca.crt")
    context.verify_mode = ssl.CERT_OPTIONAL
    server.socket = context.wrap_socket(server.socket, server_side=True)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.alarm(600)
    with open(folder + "/port.new", "w", encoding="ascii") as f:
        f.write(str(server.server_address[1]))
    os.replace(folder + "/port.new", folder + "/port")
    server.serve_forever()


main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""evidence.py WHAT ...: a node's side of attestation, for the tests; written from kubetpm-formats(5).

	challenge UID CSR EK AK			CSR 1 as the API server would show it
	approve FILE MESSAGE			FILE with an Approved condition
	credential MESSAGE			what tpm2_activatecredential takes
	qualify UID SECRET CSR EXPIRATION	the quote's qualifying data, in hexadecimal
	client UID CSR EK AK SECRET QUOTE DER-SIGNATURE PCRS EXPIRATION
						CSR 2
	list FILE...				a List of them
	fingerprint PEM				of a public key

CSR, EK, AK, SECRET, QUOTE are files; PCRS is JSON. Options of the API server's view come from the environment:
CREATED, USERNAME, SIGNER, USAGES (comma-separated), NAME, EXTRA (a file behind the request).
"""
import base64
import hashlib
import json
import os
import struct
import subprocess
import sys

CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"


def u32(n):
    return struct.pack(">I", n)


def lp(data):
    data = data.encode() if isinstance(data, str) else data
    return u32(len(data)) + data


def read(path):
    with open(path, "rb") as f:
        return f.read()


def pem(kind, data):
    text = base64.b64encode(data).decode()
    lines = [text[i:i + 64] for i in range(0, len(text), 64)]
    return "-----BEGIN %s-----\n%s\n-----END %s-----\n" % (kind, "\n".join(lines), kind)


def usages():
    return os.environ.get("USAGES", "digital signature,client auth").split(",")


def signer(default):
    return os.environ.get("SIGNER", default)


def show(name, uid, signer_name, blocks, expiration=None):
    text = "".join(pem(kind, data) for kind, data in blocks)
    if "EXTRA" in os.environ:
        text += read(os.environ["EXTRA"]).decode()
    spec = {"request": base64.b64encode(text.encode()).decode(), "signerName": signer_name, "usages": usages(),
            "username": os.environ.get("USERNAME", "system:bootstrap:abcdef"),
            "groups": ["system:bootstrappers", "system:authenticated"]}
    if expiration is not None:
        spec["expirationSeconds"] = int(expiration)
    print(json.dumps({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
                      "metadata": {"name": os.environ.get("NAME", name), "uid": uid,
                                   "creationTimestamp": os.environ.get("CREATED", "2026-11-27T12:00:00Z")},
                      "spec": spec, "status": {}}))


def der_to_raw(der):
    r_len = der[3]
    r, s = der[4:4 + r_len], der[6 + r_len:]
    return b"".join(n.lstrip(b"\0").rjust(32, b"\0") for n in (r, s))


def qualify(uid, secret, csr, expiration):
    names = usages()
    return hashlib.sha256(lp("kubetpm.internal/attest/1/quote") + lp(uid) + lp(secret) + lp(csr) +
                          lp(signer(CLIENT)) + u32(len(names)) + b"".join(lp(n) for n in names) +
                          lp(str(expiration))).hexdigest()


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "challenge":
        uid, csr, ek, ak = args
        show("challenge-" + uid, uid, signer("kubetpm.internal/node-challenge"),
             [("CERTIFICATE REQUEST", read(csr)), ("TPM EK PUBLIC", read(ek)), ("TPM AK PUBLIC", read(ak))])
    elif what == "approve":
        request = json.loads(read(args[0]))
        request["status"]["conditions"] = [{"type": "Approved", "status": "True", "reason": "TPMChallenge",
                                            "message": args[1]}]
        print(json.dumps(request))
    elif what == "credential":
        _, blob, seed, _ = args[0].split(" ")
        sys.stdout.buffer.write(u32(0xbadcc0de) + u32(1) + base64.b64decode(blob) + base64.b64decode(seed))
    elif what == "qualify":
        print(qualify(args[0], read(args[1]), read(args[2]), args[3]))
    elif what == "client":
        uid, csr, ek, ak, secret, quote, signature, pcrs, expiration = args
        show("kubetpm-" + uid, "of-" + uid, signer(CLIENT),
             [("CERTIFICATE REQUEST", read(csr)), ("TPM EK PUBLIC", read(ek)), ("TPM AK PUBLIC", read(ak)),
              ("TPM CHALLENGE SECRET", read(secret)), ("TPM QUOTE", read(quote)),
              ("TPM QUOTE SIGNATURE", der_to_raw(read(signature))), ("TPM PCR VALUES", pcrs.encode())], expiration)
    elif what == "list":
        print(json.dumps({"apiVersion": "v1", "kind": "List", "items": [json.loads(read(f)) for f in args]}))
    elif what == "fingerprint":
        der = subprocess.run(["openssl", "pkey", "-pubin", "-in", args[0], "-outform", "DER"], check=True,
                             capture_output=True).stdout
        print(hashlib.sha256(der).hexdigest())


main()

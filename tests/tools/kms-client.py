#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kms-client.py SOCKET COMMAND... - KMS calls over gRPC's C core: another client than kube-apiserver.

    status                      prints version, healthz, key_id as JSON
    encrypt UID HEX             prints ciphertext, key_id, annotations as JSON (bytes in hex)
    decrypt UID FILE            FILE holds what encrypt printed; prints the plaintext in hex
    round-trips N               N times Encrypt and Decrypt of something random
    v1-version | v1-round-trips N
    many CLIENTS CALLS          as many connections at once, each with CALLS calls of both versions

The messages are made by Google's protobuf library from the tables of the two services. An error of
gRPC is printed as "CODE: message" on stderr; the exit status is 1. KMS_TIMEOUT is each call's deadline in seconds.
"""

import json
import os
import sys
import threading

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

TIMEOUT = float(os.environ.get("KMS_TIMEOUT", "10"))  # of each call, in seconds

STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
MAP = "map<string, bytes>"

TABLES = {
    "v2": {
        "StatusRequest": [],
        "StatusResponse": [("version", STRING), ("healthz", STRING), ("key_id", STRING)],
        "EncryptRequest": [("plaintext", BYTES), ("uid", STRING)],
        "EncryptResponse": [("ciphertext", BYTES), ("key_id", STRING), ("annotations", MAP)],
        "DecryptRequest": [
            ("ciphertext", BYTES), ("uid", STRING), ("key_id", STRING), ("annotations", MAP)],
        "DecryptResponse": [("plaintext", BYTES)],
    },
    "v1beta1": {
        "VersionRequest": [("version", STRING)],
        "VersionResponse": [
            ("version", STRING), ("runtime_name", STRING), ("runtime_version", STRING)],
        "EncryptRequest": [("version", STRING), ("plain", BYTES)],
        "EncryptResponse": [("cipher", BYTES)],
        "DecryptRequest": [("version", STRING), ("cipher", BYTES)],
        "DecryptResponse": [("plain", BYTES)],
    },
}


def make_messages(package):
    """The classes of a package, by name."""
    file = descriptor_pb2.FileDescriptorProto(
        name=package + ".proto", package=package, syntax="proto3")
    for name, fields in TABLES[package].items():
        message = file.message_type.add(name=name)
        for number, (field_name, kind) in enumerate(fields, 1):
            field = message.field.add(name=field_name, number=number, label=1)
            if kind != MAP:
                field.type = kind
                continue
            entry = message.nested_type.add(name="AnnotationsEntry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=STRING, label=1)
            entry.field.add(name="value", number=2, type=BYTES, label=1)
            field.type = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE
            field.type_name = f".{package}.{name}.AnnotationsEntry"
            field.label = 3
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName(f"{package}.{name}"))
            for name in TABLES[package]}


MESSAGES = {package: make_messages(package) for package in TABLES}


class Client:
    def __init__(self, path):
        # A subchannel pool of its own: else channels to one address share a connection.
        self.channel = grpc.insecure_channel(
            "unix:" + path, options=[("grpc.use_local_subchannel_pool", 1)])

    def call(self, package, method, timeout=TIMEOUT, **fields):
        classes = MESSAGES[package]
        stub = self.channel.unary_unary(
            f"/{package}.KeyManagementService/{method}",
            request_serializer=lambda m: m.SerializeToString(),
            response_deserializer=classes[method + "Response"].FromString)
        return stub(classes[method + "Request"](**fields), timeout=timeout)

    def round_trip(self):
        seed = os.urandom(32)
        made = self.call("v2", "Encrypt", plaintext=seed, uid="uid-1")
        opened = self.call("v2", "Decrypt", uid="uid-2", ciphertext=made.ciphertext,
                           key_id=made.key_id, annotations=dict(made.annotations))
        assert opened.plaintext == seed, "another plaintext came back"
        assert made.key_id == self.call("v2", "Status").key_id, "the key_ids differ"
        assert seed not in made.SerializeToString(), "the plaintext is in the answer"

    def round_trip_v1(self):
        seed = os.urandom(32)
        made = self.call("v1beta1", "Encrypt", version="v1beta1", plain=seed)
        opened = self.call("v1beta1", "Decrypt", version="v1beta1", cipher=made.cipher)
        assert opened.plain == seed, "another plaintext came back"

    def status(self):
        s = self.call("v2", "Status")
        print(json.dumps({"version": s.version, "healthz": s.healthz, "key_id": s.key_id}))

    def encrypt(self, uid, plaintext):
        r = self.call("v2", "Encrypt", uid=uid, plaintext=bytes.fromhex(plaintext))
        print(json.dumps({"ciphertext": r.ciphertext.hex(), "key_id": r.key_id,
                          "annotations": {k: v.hex() for k, v in r.annotations.items()}}))

    def decrypt(self, uid, path):
        with open(path, encoding="utf-8") as f:
            made = json.load(f)
        r = self.call("v2", "Decrypt", uid=uid, ciphertext=bytes.fromhex(made["ciphertext"]),
                      key_id=made["key_id"],
                      annotations={k: bytes.fromhex(v) for k, v in made["annotations"].items()})
        print(r.plaintext.hex())

    def v1_version(self):
        r = self.call("v1beta1", "Version", version="v1beta1")
        print(json.dumps({"version": r.version, "runtime_name": r.runtime_name,
                          "runtime_version": r.runtime_version}))


def many(path, clients, calls):
    failures = []

    def run():
        try:
            client = Client(path)
            for _ in range(calls):
                client.round_trip()
                client.round_trip_v1()
        except (grpc.RpcError, AssertionError) as failure:
            failures.append(str(failure))

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        sys.exit(f"{len(failures)} of {clients} clients failed: {failures[0]}")


def main():
    path, command, *args = sys.argv[1:]
    client = Client(path)
    try:
        if command == "round-trips":
            for _ in range(int(args[0])):
                client.round_trip()
        elif command == "v1-round-trips":
            for _ in range(int(args[0])):
                client.round_trip_v1()
        elif command == "many":
            many(path, int(args[0]), int(args[1]))
        else:
            getattr(client, command.replace("-", "_"))(*args)
    except grpc.RpcError as failure:
        sys.exit(f"{failure.code().name}: {failure.details()}")


if __name__ == "__main__":
    main()

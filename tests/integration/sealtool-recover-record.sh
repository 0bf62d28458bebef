#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# sealtool recover-record: the TPM is gone, and what is in etcd is had back with the recovery key. The values are
# made as an API server makes them, around seeds that kms-shim really encrypted.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022
shim=$STAGE/usr/libexec/kubetpm/kms-shim
sock=$dir/kms.sock
python=$(python_with 'grpc')
GCM_SEAL=$BUILD/tools/gcm-seal
export GCM_SEAL
path=/registry/secrets/default/db
seed=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
b64=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=

must start_tpm
must sealtool init
printf 'horse\n' >pass
chmod 600 pass
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -pass file:pass -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -passin file:pass -pubout -out rec.pub
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out other.pem 2>/dev/null
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
conf() {
	printf '%s\n' 'cluster = prod' 'key = k1.key' "listen = unix://$sock" "$@" >kms.conf
}
# encrypt FILE: what kms-shim answers for the seed
encrypt() {
	printf '{"method":"Encrypt","uid":"u","plaintext":"%s"}\n' "$b64" |
		"$shim" --config kms.conf --stdio >"$1" 2>"$err"
	expect 'kms-shim answers' grep -q ciphertext "$1"
}
printf 'k8s\000\n\014\n\002v1\022\006Secret password-of-the-database \377\n' >secret
value() {
	"$tools/etcd-value.py" "$@" <secret
}
conf
encrypt old.json
conf 'recovery = rec.pub'
encrypt reply.json
"$shim" --config kms.conf -v >shim.out 2>shim.log &
pid=$!
at_exit "kill -KILL $pid 2>/dev/null"
must tpm_wait_for grep -q 'debug: ready' shim.log
"$python" - "$tools" "$sock" "$seed" >v1.cipher <<'EOT'
import importlib.util, sys
spec = importlib.util.spec_from_file_location("client", sys.argv[1] + "/kms-client.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
client = module.Client(sys.argv[2])
answer = client.call("v1beta1", "Encrypt", version="v1beta1", plain=bytes.fromhex(sys.argv[3]))
sys.stdout.buffer.write(answer.cipher)
EOT
kill "$pid"
wait "$pid"
value v2 "$path" "$seed" reply.json >rec-v2
value v2-key "$path" "$seed" reply.json >rec-v2-key
value v1 "$path" "$seed" v1.cipher >rec-v1
value v2 "$path" "$seed" old.json >rec-old
# From here on there is no TPM.
stop_all_tpms
KUBETPM_TCTI=swtpm:path=/nonexistent/tpm
export KUBETPM_TCTI
recover() {
	run sealtool recover-record --key rec.pem --passphrase-file pass "$@"
}

for kind in v2 v2-key v1; do
	it "opens a record of kind $kind, with and without the newline that etcdctl prints"
	recover --path "$path" rec-$kind
	expect_status 0
	expect_out_same secret
	(cat rec-$kind && echo) >$kind.printed
	recover --path "$path" $kind.printed
	expect_status 0
	expect_out_same secret
	recover --path "$path" - <rec-$kind
	expect_out_same secret
	recover --path "$path" -o $kind.out rec-$kind
	expect_status 0
	expect 'the same' cmp -s secret $kind.out
	expect 'for its owner alone' test "$(stat -c %a $kind.out)" = 600

	it "refuses a record of kind $kind that was changed anywhere"
		"$python" - rec-$kind <<'EOT'
import os, sys
data = open(sys.argv[1], "rb").read()
os.makedirs("flipped", exist_ok=True)
for at in range(0, len(data), 7):
    changed = bytearray(data)
    changed[at] ^= 1
    open("flipped/%d" % at, "wb").write(changed)
EOT
	for file in flipped/*; do
		run sealtool recover-record --key rec.pem --passphrase-file pass --path "$path" "$file"
		# The provider's name, the key_id and the record's identifier are no part of what is wrapped.
		[ "$status" -ne 0 ] || cmp -s secret "$out" || wrong "$file gives something else"
		[ "$status" -ne 0 ] || echo "$file" >>accepted
	done
	expect 'few are no part of it' test "$(grep -c '' accepted)" -lt 40
	rm -rf flipped accepted
	recover --path /registry/secrets/default/other rec-$kind
	expect_status 8
	expect_err 'does not verify'
	expect_no_out
done

it 'says what is missing'
recover rec-v2
expect_status 2
expect_err '--path'
run sealtool recover-record --path "$path" rec-v2
expect_status 2
expect_err '--key'
run sealtool recover-record --key other.pem --path "$path" rec-v2
expect_status 5
expect_err 'another recovery key'
recover --path "$path" rec-old
expect_status 5
expect_err 'made without a recovery key'
recover --path "$path" secret
expect_status 5
expect_err 'not encrypted by a KMS provider'
head -c 200 rec-v2 >short
recover --path "$path" short
expect_status 5
: >empty
recover --path "$path" empty
expect_status 5
recover --path "$path" nothing
expect_status 2
if has_terminals; then
	on_terminal "sealtool recover-record --key rec.pem --passphrase-file pass --path $path rec-v2"
	expect_status 8
	expect_nowhere password-of
fi

it 'tells what a record says of itself, without a key'
run sealtool recover-record --json rec-v2
expect_status 0
expect_json 'j["keyId"]' "$(json 'j["keyId"]' reply.json)"
expect_json 'j["keyIdHash"]' "sha256:$(json 'j["keyId"]' reply.json | tr -d '\n' | sha256sum | cut -d' ' -f1)"
expect_json 'j["recoverable"]' true
expect_json 'j["provider"]' kubetpm
run sealtool recover-record --json rec-old
expect_json 'j["recoverable"]' false
run sealtool recover-record --json rec-v1
expect_json 'j["apiVersion"]' v1
run sealtool recover-record --json secret
expect_json 'j["encrypted"]' false

# kvs FILE PATH VALUE ...: what `etcdctl get -w json` prints
kvs() {
	"$python" - "$@" <<'EOT'
import base64, json, sys
pairs = list(zip(sys.argv[2::2], sys.argv[3::2]))
encode = lambda data: base64.b64encode(data).decode()
kvs = [{"key": encode(k.encode()), "create_revision": 2, "mod_revision": 2, "version": 1,
        "value": encode(open(v, "rb").read())} for k, v in pairs]
header = {"cluster_id": 14841639068965178418, "member_id": 10276657743932975437, "revision": 9}
json.dump({"header": header, "kvs": kvs, "count": len(kvs)}, open(sys.argv[1], "w"))
EOT
}
it 'takes the JSON of etcdctl, which has the path'
kvs one.etcd "$path" rec-v2
recover one.etcd
expect_status 0
expect_out_same secret
recover --path "$path" one.etcd
expect_status 2
value v2 /registry/secrets/kube-system/a.b-c "$seed" reply.json >second
kvs all.etcd "$path" rec-v2 /registry/secrets/kube-system/a.b-c second /registry/secrets/default/plain secret
recover all.etcd
expect_status 2
expect_err '--all'
run sealtool recover-record --json all.etcd
expect 'a line each' test "$(grep -c '' "$out")" -eq 3

it 'has all of it back, each under its own name'
recover --all -o plain all.etcd
expect_status 0
expect_err '3 of 3 values'
for file in "$path" /registry/secrets/kube-system/a.b-c /registry/secrets/default/plain; do
	expect "$file" cmp -s secret "plain$file"
done
expect 'for its owner alone' test "$(stat -c %a plain/registry)$(stat -c %a "plain$path")" = 700600

it 'goes on behind a record that does not open, and never leaves its folder'
kvs some.etcd "$path" rec-old /registry/secrets/kube-system/a.b-c second /registry/../../evil secret \
	relative/key secret //double secret /registry/secrets/x/y short
recover --all -o some some.etcd
expect_status 5
expect_err "$path: made without a recovery key"
expect_err '1 of 6 values'
expect 'the good one' cmp -s secret some/registry/secrets/kube-system/a.b-c
expect 'and nothing else' test "$(find . -name evil -o -name key -o -name double | grep -c '')" -eq 0
mkdir shared
chmod 777 shared
recover --all -o shared all.etcd
expect_status 8
expect 'nothing is in it' test -z "$(ls shared)"
recover --all -o secret all.etcd
expect_status 8
printf '{"kvs":[{"key":"AAAA"}]}' >bad.etcd
recover --all -o bad bad.etcd
expect_status 5
printf '{"kvs":{}}' >bad.etcd
recover --all -o bad bad.etcd
expect_status 5
printf '{"kvs":[' >bad.etcd
recover bad.etcd
expect_status 5
done_testing

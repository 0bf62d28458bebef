#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The audit log as its users meet it: begun, written by kms-shim and sign-cert, verified without a TPM; rotated;
# honest histories, which stay clean or are told of with their reason.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=stdio-shim.sh
. "$(dirname "$0")/../tools/stdio-shim.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=audit.sh
. "$(dirname "$0")/../tools/audit.sh"

must start_tpm

it 'before init there is nothing to write to'
must sealtool init
run sealtool audit status --json
expect_status 0
expect_json 'j["tier"]' a
expect_json 'j["on"]' false
run sealtool audit checkpoint --log audit.log
expect_status 12
expect_err 'sealtool audit init'

it 'init turns the audit on, and prints what an examiner has to know'
run sealtool audit init --log audit.log --ak-out ak.pub
expect_status 0
expect_out 'attestation key:  0x81010100'
expect 'a public key' openssl pkey -pubin -in ak.pub -noout
run sealtool audit status --json --log audit.log
expect_json 'j["on"]' true
expect_json 'j["auditedCommands"]' '["0x140", "0x155", "0x15d"]'
expect_json 'j["log"]["agreesWithTpm"]' true
expect 'nothing is left in the TPM' test "$(tpm_leftovers)" = 0
verify --ak ak.pub audit.log
expect_complete

it 'a log is not begun twice'
cp audit.log before
run sealtool audit init --log audit.log --ak-out x.pub
expect_status 8
expect 'it is as it was' cmp audit.log before
expect 'nothing was written' test ! -e x.pub

it 'where others can write, what they put there is neither followed nor opened'
mkdir -m 2770 shared
echo precious >precious
ln -s ../precious shared/audit.log
run sealtool audit init --log shared/audit.log --ak-out x.pub
expect_status 8
rm shared/audit.log
ln -s ../precious shared/audit.log.new
run sealtool audit init --log shared/audit.log --ak-out x.pub
expect_status 0
expect 'the other file is as it was' test "$(cat precious)" = precious
expect 'the group can write the log' test "$(stat -c %a shared/audit.log)" = 660
expect 'nothing else is left' test "$(ls shared)" = audit.log
rm -f x.pub audit.log
must sealtool audit init --log audit.log --ak-out ak.pub

it 'tiers that are not there are refused, not pretended'
run sealtool audit init --log b.log --ak-out b.pub --tier d
expect_status 2
run sealtool key new --type hmac --pcrs sha256:7 --audit-tier c -o b.key
expect_status 2
expect 'nothing was written' test ! -e b.log -a ! -e b.key

it 'with one line in kms.conf each Encrypt and Decrypt is in the log'
must sealtool key new --type hmac --pcrs sha256:7 -o k1.key
must sealtool key new --type p256 -o ca.key
audit_configure
start_shim audited.conf
encrypt 'e-1'
cp "$out" made.json
decrypt 'd 1"%' made.json
expect_plaintext
decrypt d-2 made.json
expect_plaintext
stop_shim
expect_status 0
expect 'nothing is left in the TPM' test "$(tpm_leftovers)" = 0
verify --ak ak.pub audit.log
expect_complete
expect_json '[j["encryptions"], j["decryptions"]]' '[1, 2]'
expect_json 'j["keys"][0]["cluster"]' prod
run audit-verify --ak ak.pub --list audit.log
expect_out 'decrypt  key 0  uid d%201%22%25'

it 'certificates 1, 2, 3 are in the same log'
make_ca
must sign n1.csr n1.crt
must sign n1.csr n2.crt
expect 'the certificates verify' openssl verify -CAfile ca.crt n1.crt n2.crt
verify --ak ak.pub audit.log
expect_complete
expect_json 'j["certificates"]' 3
run audit-verify --ak ak.pub --list audit.log
expect_out "serial $(openssl x509 -in n2.crt -noout -serial | cut -d= -f2)"
expect_out 'CN=system:node:n1'

it 'a CSR that wants too much, or is not its own, gets nothing'
openssl req -new -key n1.pem -subj /CN=evil -addext basicConstraints=CA:TRUE -out ca.csr 2>/dev/null
run sign ca.csr x.crt
expect_status 5
expect_err 'wants to be a CA'
openssl req -in n1.csr -outform DER 2>/dev/null | python3 -c '
import base64, sys
d = bytearray(sys.stdin.buffer.read())
d[d.index(b"system:node:n1") + 13] ^= 3
print("-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(d).decode() + "-----END CERTIFICATE REQUEST-----")' >bad.csr
run sign bad.csr x.crt
expect_status 5
expect_err 'not signed by the key'
run sealtool sign-cert --key ca.key --ca n1.crt --csr n1.csr --days 1 --audit audit.log
expect_status 5
run sealtool sign-cert --key ca.key --ca ca.crt --csr n1.csr --days 0 --audit audit.log
expect_status 2
run sealtool sign-cert --key ca.key --ca ca.crt --csr n1.csr --days 1
expect_status 2
expect_err '--audit'
run sealtool sign-cert --key k1.key --ca ca.crt --csr n1.csr --days 1 --audit audit.log
expect_status 5
expect 'no certificate' test ! -e x.crt
verify --ak ak.pub audit.log
expect_complete

it 'a nonce makes it fresh'
must sealtool audit checkpoint --log audit.log --nonce 00C0FFEE
verify --ak ak.pub --nonce 00c0ffee audit.log
expect_complete
verify --ak ak.pub --nonce 00c0ffef audit.log
expect_status 13
expect_only truncated

it 'a key can be pinned by its Name'
name=$(sealtool key show --json k1.key | python3 -c 'import json, sys; print(json.load(sys.stdin)["name"])')
verify --ak ak.pub --key-name "$name" audit.log
expect_complete
verify --ak ak.pub --key-name "000b$(printf '%064d' 0)" audit.log
expect_status 14
expect_only key

it 'standard input, gzip and threads make no difference'
cp "$out" plain.json
gzip -k audit.log
verify --ak ak.pub audit.log.gz
expect_complete
run sh -c 'audit-verify --json --ak ak.pub - <audit.log'
expect_status 0
run audit-verify --json --ak ak.pub --threads 1 audit.log
expect_status 0
head -c 700 audit.log.gz >cut.gz
run audit-verify --ak ak.pub cut.gz
expect_status 5
run audit-verify --ak ak.pub .
expect_status 8
run audit-verify --ak ak.pub nowhere.log
expect_status 2
run audit-verify audit.log
expect_status 2
run audit-verify --ak ca.crt audit.log
expect_status 5

it 'it runs without a TPM library'
expect 'no libtss2' sh -c "! ldd '$(command -v audit-verify)' | grep -q tss2"

it 'the state remembers: an old copy is seen'
run audit-verify --ak ak.pub --state state audit.log
expect_status 0
cp audit.log old.log
must sign n1.csr n3.crt
run audit-verify --ak ak.pub --state state audit.log
expect_status 0
run audit-verify --json --ak ak.pub --state state old.log
expect_status 13
expect_only rolled-back
run audit-verify --json --ak ak.pub old.log
expect_status 0
chmod 666 state
run audit-verify --ak ak.pub --state state audit.log
expect_status 8
chmod 600 state

it 'what has no checkpoint yet is told of'
head -n -1 audit.log >open.log
verify --ak ak.pub open.log
expect_status 13
expect_only truncated
head -c -5 audit.log >torn.log
verify --ak ak.pub torn.log
expect_status 13
expect_only truncated
: >empty.log
verify --ak ak.pub empty.log
expect_status 13

it '--join lines decryptions up with the API server requests, and says what that is worth'
python3 - audit.log <<'PYTHON' >kube.log
import datetime, json, sys
times = [json.loads(l)["ts"] / 1000 for l in open(sys.argv[1], encoding="ascii") if '"op":"D"' in l]
stamp = lambda t: datetime.datetime.fromtimestamp(t, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
for resource, offset in ("secrets", 0), ("pods", -3600), ("pods", 3600):
    t = times[0] + offset
    print(json.dumps({"kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata", "auditID": "x",
                      "stage": "ResponseComplete", "requestURI": "/api/v1/" + resource, "verb": "get",
                      "user": {"username": "u"}, "objectRef": {"resource": resource, "apiVersion": "v1"},
                      "requestReceivedTimestamp": stamp(t), "stageTimestamp": stamp(t + 0.01)}))
PYTHON
run audit-verify --json --ak ak.pub --join kube.log audit.log
expect_status 0
expect_json '[j["join"]["explained"], j["join"]["unexplained"], j["join"]["outside"]]' '[2, 0, 0]'
grep -v secrets kube.log >pods.log
run audit-verify --ak ak.pub --join pods.log audit.log
expect_status 0
expect_out 'uid d-2'
expect_out 'is a lead'
expect_out 'proves nothing'
run audit-verify --json --ak ak.pub --join kube.log --join-resource pods audit.log
expect_json 'j["join"]["unexplained"]' 2
echo nonsense >>kube.log
run audit-verify --ak ak.pub --join kube.log audit.log
expect_status 5
expect_err 'kube.log: line 4'

it 'a reboot between checkpoints leaves no mark but its own'
must reset_tpm 3>&-
start_shim audited.conf
decrypt d-3 made.json
expect_plaintext
stop_shim
expect 'a B line' grep -q '"t":"B"' audit.log
verify --ak ak.pub audit.log
expect_complete

it 'a TPM that is reset under a running kms-shim loses nothing'
start_shim audited.conf
decrypt d-4 made.json
expect_plaintext
sleep 1.6
must reset_tpm 3>&-
decrypt d-5 made.json
expect_plaintext
stop_shim
verify --ak ak.pub audit.log
expect_complete

it 'a suspend is told of, since a rollback looks the same'
cp audit.log awake.log
tpm2_shutdown >/dev/null 2>&1
tpm_off
tpm_on 3>&-
must sealtool audit checkpoint --log audit.log --nonce 01
verify --ak ak.pub audit.log
expect_status 14
expect_only restart

it 'what was looked into can be accepted, and is not told of again'
run audit-verify --ak ak.pub --state state audit.log
expect_status 14
run audit-verify --ak ak.pub --state state --accept audit.log
expect_status 14
must sign n1.csr n4.crt
run audit-verify --json --ak ak.pub --state state audit.log
expect_status 0
expect_json 'j["acceptedFindings"]' 1

it 'a key that was made before keys were for that is refused, and so is one of another type'
grep -v '^Creation:' k1.key >old.key
sed 's/k1.key/old.key/' audited.conf >old.conf
run "$kms_shim" --config old.conf --stdio
expect_status 8
expect_err 'cannot be audited'
sed 's/k1.key/ca.key/' audited.conf >ca.conf
run "$kms_shim" --config ca.conf --stdio
expect_status 2
sed 's/audit.log/none.log/' audited.conf >none.conf
run "$kms_shim" --config none.conf --stdio
expect_status 12
expect_err 'sealtool audit init'

it 'without the line nothing changes, and the old log does not grow'
before=$(grep -c '' audit.log)
sealtool key new --type hmac --pcrs sha256:7 -o k2.key 2>/dev/null
expect 'no line more' test "$before" = "$(grep -c '' audit.log)"

it 'a log that was changed is not continued'
sed '6s/"ts":1/"ts":2/' audit.log | sed '7s/"n":0/"n":9/' >changed.log
head -c 200 audit.log >>changed.log
echo '{}' >>changed.log
sed 's/audit.log/changed.log/' audited.conf >changed.conf
start_shim changed.conf
encrypt e-9
expect_out error
expect_out 'begin another'
stop_shim

it 'the log of another machine is not written to'
first=$tpm_dir
must start_tpm
must sealtool init
must sealtool audit init --log other.log --ak-out other.pub
must sealtool key new --type p256 -o other.key
run sealtool audit checkpoint --log audit.log
expect_status 10
use_tpm "$first"

done_testing

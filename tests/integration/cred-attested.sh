#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A node earns its credential: exec-plugin with cred-attested, a software TPM, and csr-approver review behind the API
# server's CertificateSigningRequests.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"

approver=$STAGE/usr/libexec/kubetpm/csr-approver
plugin=$STAGE/usr/libexec/kubetpm/exec-plugin
zeros=$(printf '%064d' 0)
umask 077
mkdir -p server profiles state other
make_server() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server/ca.key -out server/ca.crt \
		-subj /CN=cluster-ca -days 3650 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server/server.key -out server/req -subj /CN=api \
		-addext subjectAltName=IP:127.0.0.1 2>/dev/null
	openssl x509 -req -in server/req -CA server/ca.crt -CAkey server/ca.key -CAcreateserial -days 10 -copy_extensions copy \
		-out server/server.crt 2>/dev/null
	echo abcdef.0123456789abcdef >server/token
}
start_server() {
	rm -f server/port
	"$@" "$tools/csr-server.py" server "$approver" inventory.json >server/out 2>server/err &
	server=$!
	must tpm_wait_for test -s server/port
	port=$(cat server/port)
	info=$(python3 -c '
import base64, json, sys
ca = base64.b64encode(open("server/ca.crt", "rb").read()).decode()
print(json.dumps({"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1", "spec": {
    "cluster": {"server": "https://127.0.0.1:" + sys.argv[1], "certificate-authority-data": ca}, "interactive": False}}))' "$port")
}
stop_server() {
	[ -z "${server-}" ] || {
		kill "$server"
		wait "$server"
	} 2>/dev/null
	server=
}
at_exit stop_server
# fetch [PROFILE]
fetch() {
	KUBERNETES_EXEC_INFO=$info
	export KUBERNETES_EXEC_INFO
	run "$plugin" --profile-dir profiles --profile "${1:-node}"
}
requests() {
	python3 -c 'import json; print(len(json.load(open("server/requests.json", encoding="utf-8"))))' 2>/dev/null || echo 0
}
# secrets: how many were sent
secrets() {
	python3 -c '
import base64, json
print(sum(b"CHALLENGE SECRET" in base64.b64decode(r["spec"]["request"])
          for r in json.load(open("server/requests.json", encoding="utf-8"))))'
}
# certificate FILE: of the last answer
certificate() {
	json 'j["status"]["clientCertificateData"]' >"$1"
}
fingerprint() {
	python3 -c '
import json, sys
for r in json.load(open("server/requests.json", encoding="utf-8")):
    for c in r["status"].get("conditions", []):
        if "endorsement key" in c["message"] and "inventory add" in c["message"]:
            print(c["message"].split("--ek ")[1].split()[0])
            sys.exit()'
}

make_server
must start_tpm
must sealtool init
must "$approver" inventory pcrs -i inventory.json --pcr-set fresh --pcrs "sha256:7=$zeros"
echo 'sufficient cred-attested state=../state bootstrap=../server/token node=n1 lifetime=1h timeout=20s' >profiles/node
echo 'sufficient cred-attested state=../other bootstrap=../server/token node=n2 lifetime=1h timeout=20s' >profiles/other
echo 'sufficient cred-attested state=../state node=n1 lifetime=1h timeout=3s' >profiles/quick
start_server env

it 'a machine that nobody knows is denied, and the denial says what to do'
fetch
expect_status 8
expect_no_out
expect_err 'inventory add --ek'
ek=$(fingerprint)
expect 'it names the endorsement key' test ${#ek} = 64

it 'once it is in the inventory it gets its certificate, by itself'
must "$approver" inventory add -i inventory.json --ek "$ek" --node n1 --pcr-set fresh --max-lifetime 1h
fetch
expect_status 0
expect_json 'sorted(j["status"])' '["clientCertificateData", "clientKeyData", "expirationTimestamp"]'
certificate n1.crt
run openssl verify -CAfile server/ca.crt n1.crt
expect_status 0
run openssl x509 -in n1.crt -noout -subject -nameopt RFC2253
expect_out 'CN=system:node:n1,O=system:nodes'

it 'the answer is the same to the byte while nothing changes, and nobody is asked'
before=$(requests)
fetch
cp "$out" first.json
fetch
expect 'byte-stable' cmp -s "$out" first.json
expect 'no more requests' test "$(requests)" = "$before"

it 'many at once make one request each, and get one certificate'
rm -rf state
mkdir state
for i in 1 2 3 4; do
	KUBERNETES_EXEC_INFO=$info "$plugin" --profile-dir profiles --profile node >many.$i 2>many.err.$i &
	eval "many_$i=\$!"
done
for i in 1 2 3 4; do
	eval "wait \$many_$i"
done
expect 'all have it' test -s many.1
expect 'the same' cmp -s many.1 many.2
expect 'the same' cmp -s many.1 many.4
expect 'two requests, not eight' test "$(requests)" = $((before + 2))

it 'an answer that is lost is asked for, and costs no further request'
rm -rf state
mkdir state
before=$(requests)
touch server/lose
fetch
expect_status 0
expect 'two requests' test "$(requests)" = $((before + 2))

it 'the key does not lie on the disk'
expect 'no PEM key' test "$(grep -rl 'PRIVATE KEY' state | wc -l)" = 0
run sealtool show state/node.sealed --json
expect_out node-key

it 'another name is not for this machine'
fetch other
expect_status 8
expect_err 'is node n1, and asks for n2'

it 'another machine, with a copy of the disk and of the token, gets nothing'
first=$tpm_dir
must start_tpm
must sealtool init
fetch
expect_status 8
expect_err 'does not open'
expect_err 'inventory add --ek'
use_tpm "$first"
fetch
expect_status 0

it 'a certificate that is due is renewed with itself, by proving everything again'
stop_server
start_server env BACKDATE=10000 LIFETIME=600
rm -rf state
mkdir state
fetch
expect_status 0
certificate old.crt
mv server/token server/token.away
echo x >server/token
fetch
expect_status 0
certificate new.crt
expect 'another one' test "$(cmp -s old.crt new.crt; echo $?)" = 1
expect 'asked by the node' grep -q '"username": "system:node:n1"' server/requests.json

it 'if that fails, the old one serves on, and why is said'
must "$approver" inventory quarantine -i inventory.json --node n1
fetch
expect_status 0
expect_err 'not renewed'
expect_err quarantine
certificate still.crt
expect 'the old one' cmp -s new.crt still.crt
must "$approver" inventory accept -i inventory.json --node n1
echo 500 >server/fail
fetch quick
expect_status 0
expect_err 'not renewed'
rm server/fail
mv server/token.away server/token

it 'after a change of the boot state the key does not open; the approver decides on the new state'
must tpm2_pcrextend "7:sha256=$(printf '%064d' 9)"
fetch
expect_status 8
expect_err 'does not open'
expect_err 'PCR 7 (sha256): expected'
value=$(tpm2_pcrread sha256:7 | sed -n 's/.*0x//p' | tr 'A-F' 'a-f')
must "$approver" inventory pcrs -i inventory.json --pcr-set fresh --pcrs "sha256:7=$value"
fetch
expect_status 0

it 'the token may lie in a sealed file'
run sealtool seal --name token --purpose exec-credential --pcrs sha256:8 -o server/token.sealed <server/token
expect_status 0
echo 'sufficient cred-attested state=../state bootstrap-sealed=../server/token.sealed node=n1 lifetime=1h' >profiles/sealed
rm -rf state
mkdir state
fetch sealed
expect_status 0
echo 'sufficient cred-attested state=../state bootstrap=x bootstrap-sealed=y' >profiles/sealed
fetch sealed
expect_status 2

it 'nobody who decides: an error in time'
stop_server
start_server env
rm -rf state
mkdir state
touch server/pause
echo 'sufficient cred-attested state=../state bootstrap=../server/token node=n1 lifetime=1h timeout=3s' >profiles/node
begun=$(date +%s)
fetch
expect_status 9
expect_err 'csr-approver'
expect 'within its time' test $(($(date +%s) - begun)) -le 8
rm server/pause

it 'a wrong token, another CA, no TLS'
echo wrong >server/token.wrong
echo 'sufficient cred-attested state=../state bootstrap=../server/token.wrong node=n1 timeout=3s' >profiles/wrong
fetch wrong
expect_status 9
expect_err 401
cp server/ca.crt server/ca.away
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout x.key -out server/ca.crt -subj /CN=x 2>/dev/null
info_was=$info
info=$(python3 -c '
import base64, json, sys
j = json.loads(sys.argv[1])
j["spec"]["cluster"]["certificate-authority-data"] = base64.b64encode(open("server/ca.crt", "rb").read()).decode()
print(json.dumps(j))' "$info")
mv server/ca.away server/ca.crt
fetch
expect_status 9
expect_err certificate
info=$(printf %s "$info_was" | sed 's#https://#http://#')
fetch
expect_status 2
info=$info_was

it 'a server that lies gets an error, and no secret'
echo 'sufficient cred-attested state=../state bootstrap=../server/token node=n1 lifetime=1h timeout=5s' >profiles/node
# lie STATUS MODE
lie() {
	echo "$2" >server/hostile
	fetch
	expect_status "$1"
	expect_no_out
	expect 'nothing is kept' test ! -e state/node.sealed
}
secrets_before=$(secrets)
lie 5 garbage
lie 9 huge
lie 5 list
lie 5 uid
lie 8 request
lie 5 message
lie 10 blob
lie 8 commitment
expect 'the secret was not sent' test "$(secrets)" = "$secrets_before"
lie 5 certificate
lie 5 other
rm server/hostile
fetch
expect_status 0
expect 'now it was' test "$(secrets)" -gt "$secrets_before"

it 'arguments are judged before anything is asked'
for bad in 'node=n1' 'state=../state lifetime=1m' 'state=../state timeout=0s' 'state=../state pcrs=sha256:99' \
	"state=../state pcrs=sha256:7=$zeros" 'state=../state x=1'; do
	echo "sufficient cred-attested $bad" >profiles/bad
	fetch bad
	expect_status 2
done
chmod 777 state
fetch
expect_status 8

done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What lies in sealed files and should not: cred-sealed says what is wrong, shows nothing of it, and gives
# nothing that a client could not use.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022

must start_tpm
must sealtool init
mkdir d
info=$(cat "$top/tests/data/exec/kubectl-v1.json")

# seal NAME PURPOSE: from standard input, to d/NAME.sealed
seal() {
	must sealtool seal --name "$1" --purpose "$2" --pcrs sha256:16 -o "d/$1.sealed"
}
ask() { # rule
	echo "$1" >d/default
	run env "KUBERNETES_EXEC_INFO=$info" "$exec_plugin" --profile-dir d </dev/null
}
ask_for() { # image, rule
	echo "$2" >d/default
	printf '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"%s"}' \
		"$1" >request
	run env -u KUBERNETES_EXEC_INFO "$exec_plugin" --profile-dir d <request
}
# refused STATUS MESSAGE
refused() {
	expect_status "$1"
	expect_err "$2"
	expect_one_line
	expect_no_out
	expect_nowhere s3cr3t
}
docker='sufficient cred-sealed file=docker.sealed as=docker-config'
token='sufficient cred-sealed file=t.sealed as=token'
cert='sufficient cred-sealed file=c.sealed as=client-certificate'
password='sufficient cred-sealed file=p.sealed as=registry-password username=u'

it 'does not show a password that is part of the name of a registry'
printf '{"auths":{"https://bob:s3cr3t@r.io":{"auth":"dTpw"},"r.io":{"auth":"dTpw"}}}' |
	seal docker image-credential
ask_for r.io/a "$docker"
expect_status 0
expect_json "list(j['auth'])" '["r.io"]'
expect_err 'auths, entry 1 is no host'
expect_nowhere s3cr3t
printf '{"auths":{"https://bob:s3cr3t@r.io":"s3cr3t"}}' | seal docker image-credential
ask_for r.io/a "$docker"
refused 5 'auths, entry 1: not an object'

it 'says which registry has no password that can be used'
printf '{"auths":{"q.io":{},"r.io":{"auth":"%s","identitytoken":"s3cr3t"}}}' \
	"$(printf u: | base64)" | seal docker image-credential
ask_for r.io/a "$docker"
refused 5 'auths, entry 2 (r.io): it has an identitytoken'
printf '{"auths":{"q.io":{},"r.io":{"auth":"%s"}}}' "$(printf 'u:s3cr3t\377' | base64)" |
	seal docker image-credential
ask_for r.io/a "$docker"
refused 5 'auths, entry 2 (r.io): auth is not UTF-8'

it 'says how many registries are too many'
python3 -c 'import json
auths = {"r.io" + "/a" * n: {"auth": "dTpzM2NyM3Q="} for n in range(70)}
print(json.dumps({"auths": auths}))' | seal docker image-credential
ask_for "r.io$(printf '/a%.0s' $(seq 80))" "$docker"
refused 5 'more than 64 registries'

it 'takes the pattern of registry= as it is written'
printf s3cr3t | seal p image-credential
ask_for r.io/v2/team/x "$password registry=r.io/v2/team"
expect_status 0
expect_json "list(j['auth'])" '["r.io/v2/team"]'
ask_for r.io/team/x "$password registry=r.io/v2/team"
expect_json "j['auth']" '{}'
ask_for r.io/x "$password registry=https://r.io"
refused 2 'default:1: cred-sealed: registry=https://r.io'

it 'refuses a password that is not text'
printf 's3cr3t\377' | seal p image-credential
ask_for r.io/x "$password registry=r.io"
refused 5 'the password is not UTF-8'

jwt() { # claims
	printf 'eyJhbGciOiJub25lIn0.%s.c2ln' "$(printf '%s' "$1" | base64 -w 0 | tr '+/' '-_' | tr -d =)"
}
it 'does not give a JWT that ended long ago, or whose end it cannot read'
for exp in 0 -1 0.25; do
	jwt "{\"exp\":$exp}" | seal t exec-credential
	ask "$token"
	refused 8 'expired at 1970-01-01T00:00:01Z'
done
for claims in '{"exp":99999999999999999999999}' '{"exp":1,"exp":9999999999}'; do
	jwt "$claims" | seal t exec-credential
	ask "$token"
	refused 5 'when this JWT ends cannot be told'
done
jwt '{"exp":253402300800}' | seal t exec-credential
ask "$token"
expect_status 0
expect_json "'expirationTimestamp' in j['status']" false

# made KEY-OPTION...: key.pem, and a certificate of it
made() {
	must openssl genpkey "$@" -out key.pem
	must openssl req -new -x509 -key key.pem -subj /CN=node -days 30 -out cert.pem
	cat cert.pem key.pem | seal c exec-credential
}
it 'does not give a client certificate that clients cannot load'
made -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit
ask "$cert"
refused 5 'the curve is given by its parameters'
made -algorithm RSA -pkeyopt rsa_keygen_bits:1024
ask "$cert"
refused 5 '1024 bits'
made -algorithm EC -pkeyopt ec_paramgen_curve:P-521
ask "$cert"
expect_status 0

# dated NOT-BEFORE NOT-AFTER: the same for the key that is there
dated() {
	rm -rf ca && mkdir ca && : >ca/index.txt
	cat >ca/conf <<-'EOT'
		[ca]
		default_ca = x
		[x]
		database = ca/index.txt
		new_certs_dir = ca
		default_md = sha256
		policy = p
		rand_serial = yes
		[p]
		commonName = supplied
	EOT
	must openssl req -new -key key.pem -subj /CN=node -out ca/req.pem
	must openssl ca -batch -config ca/conf -selfsign -keyfile key.pem -in ca/req.pem -notext \
		-startdate "$1" -enddate "$2" -out cert.pem
	cat cert.pem key.pem | seal c exec-credential
}
in_future() {
	date -u -d "+$1" +%y%m%d%H%M%SZ
}
it 'does not give a client certificate outside its dates'
dated 690101000000Z 700101000000Z
ask "$cert"
refused 8 'expired at 1970-01-01T00:00:00Z'
dated "$(in_future 10minutes)" "$(in_future 1day)"
ask "$cert"
refused 8 'is not valid before'
dated "$(in_future 2minutes)" "$(in_future 1day)"
ask "$cert"
expect_status 0

it 'does not show what stands in a PEM text'
{
	cat cert.pem key.pem
	printf '%s\nAAAA\n%s\n' '-----BEGIN s3cr3t-----' '-----END s3cr3t-----'
} | seal c exec-credential
ask "$cert"
refused 5 'PEM block 3 is neither certificate nor key'

# Root is not held to the limit unless it gives that up.
if command -v setpriv >/dev/null && [ "$(id -u)" -eq 0 ]; then
	it 'gives a long chain where little memory can be locked'
	{
		cat cert.pem key.pem
		for _ in $(seq 12); do
			cat cert.pem
		done
	} | seal c exec-credential
	echo "$cert" >d/default
	export KUBERNETES_EXEC_INFO="$info"
	run setpriv --bounding-set -ipc_lock --inh-caps -ipc_lock prlimit --memlock=65536 \
		"$exec_plugin" --profile-dir d </dev/null
	expect_status 0
	expect_json "j['status']['clientCertificateData'].count('BEGIN')" 13
else
	skip 'gives a long chain where little memory can be locked' 'not root'
fi

done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# exec-plugin with its own modules and a TPM: cred-sealed in each of its forms, pcr-state as a gate, and
# what happens when the file, the machine's state or the TPM is not as it should be.
# shellcheck source-path=SCRIPTDIR/../tools source=tap.sh
. "$(dirname "$0")/../tools/tap.sh"
# shellcheck source-path=SCRIPTDIR/../tools source=swtpm.sh
. "$(dirname "$0")/../tools/swtpm.sh"
umask 022

must start_tpm
must sealtool init
mkdir d
info=$(cat "$top/tests/data/exec/kubectl-v1.json")
one=$(printf '%064d' 1)
must tpm2_pcrextend "11:sha256=$one"

# seal NAME PURPOSE [OPTION...]: from standard input, to d/NAME.sealed
seal() {
	seal_name=$1
	seal_purpose=$2
	shift 2
	must sealtool seal --name "$seal_name" --purpose "$seal_purpose" "$@" -o "d/$seal_name.sealed"
}
# rule NAME: the profile is on standard input
profile() {
	cat >"d/$1"
}
ask() { # profile
	run env "KUBERNETES_EXEC_INFO=$info" "$exec_plugin" --profile-dir d --profile "$1" </dev/null
}
ask_for() { # profile, image
	printf '{"kind":"CredentialProviderRequest","apiVersion":"credentialprovider.kubelet.k8s.io/v1","image":"%s"}' \
		"$2" >request
	run "$exec_plugin" --profile-dir d --profile "$1" <request
}
expect_clean() {
	expect 'an object or a session was left in the TPM' test "$(tpm_leftovers)" = 0
}
seconds_ahead() { # of expirationTimestamp
	echo $(($(date -u -d "$(json "j['status']['expirationTimestamp']")" +%s) - $(date +%s)))
}

# Tokens.
printf 's3cr3t-token\n' | seal t exec-credential --pcrs sha256:11
profile t <<'EOT'
sufficient cred-sealed file=t.sealed as=token ttl=10m
EOT

it 'gives a sealed token, without its newline'
ask t
expect_status 0
expect_no_err
expect_json "j['status']['token']" s3cr3t-token
ahead=$(seconds_ahead)
expect "ten minutes ahead ($ahead)" [ "$ahead" -gt 590 -a "$ahead" -le 600 ]
expect_clean

it 'finds the file from any folder'
run sh -c "cd / && KUBERNETES_EXEC_INFO='$info' '$exec_plugin' --profile-dir '$dir/d' --profile t </dev/null"
expect_status 0

it 'gives no time where none is known'
profile forever <<'EOT'
sufficient cred-sealed file=t.sealed as=token
EOT
ask forever
expect_status 0
expect_json "j['status']" '{"token": "s3cr3t-token"}'

# A JWT's own end counts, and the sooner of the two.
jwt() { # exp
	claims=$(printf '{"sub":"x","exp":%s}' "$1" | base64 -w 0 | tr '+/' '-_' | tr -d =)
	printf 'eyJhbGciOiJub25lIn0.%s.c2ln' "$claims"
}
it 'ends a JWT when it says so'
jwt $(($(date +%s) + 300)) | seal jwt exec-credential
profile jwt <<'EOT'
sufficient cred-sealed file=jwt.sealed as=token ttl=10m
EOT
ask jwt
expect_status 0
ahead=$(seconds_ahead)
expect "five minutes ahead ($ahead)" [ "$ahead" -gt 280 -a "$ahead" -le 300 ]

it 'refuses an expired JWT, and says what to do'
jwt 1700000000 | seal old exec-credential
profile old <<'EOT'
sufficient cred-sealed file=old.sealed as=token
EOT
ask old
expect_status 8
expect_err 'expired at 2023-11-14T22:13:20Z; seal'
expect_one_line
expect_no_out

it 'refuses a token that is none, without showing it'
printf 's3cr3t\nX-Evil: 1\n' | seal evil exec-credential
profile evil <<'EOT'
sufficient cred-sealed file=evil.sealed as=token
EOT
ask evil
expect_status 5
expect_err 'evil.sealed'
expect_nowhere s3cr3t

# Client certificates.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem \
	-days 30 -subj /CN=node 2>/dev/null
cat cert.pem key.pem | seal cert exec-credential --pcrs sha256:11
profile cert <<'EOT'
sufficient cred-sealed file=cert.sealed as=client-certificate
EOT
it 'gives a sealed client certificate, byte by byte'
ask cert
expect_status 0
{ cat cert.pem && echo; } >cert-and-newline
{ cat key.pem && echo; } >key-and-newline
json "j['status']['clientCertificateData']" >given-cert.pem
json "j['status']['clientKeyData']" >given-key.pem
# json() adds a newline of its own
expect 'the certificate' cmp given-cert.pem cert-and-newline
expect 'the key' cmp given-key.pem key-and-newline
end=$(openssl x509 -in cert.pem -noout -enddate | cut -d= -f2)
expect_json "j['status']['expirationTimestamp']" "$(date -u -d "$end" +%Y-%m-%dT%H:%M:%SZ)"
cp "$out" first
ask cert
expect_out_same first

it 'refuses an expired client certificate'
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout k2.pem -out req.pem \
	-days 1 -subj /CN=node 2>/dev/null
openssl x509 -in req.pem -signkey k2.pem -days -1 -out late.pem 2>/dev/null
cat late.pem k2.pem | seal late exec-credential
profile late <<'EOT'
sufficient cred-sealed file=late.sealed as=client-certificate
EOT
ask late
expect_status 8
expect_err 'expired at'
expect_no_out

it 'refuses a key that belongs to no certificate'
cat cert.pem k2.pem | seal odd exec-credential
profile odd <<'EOT'
sufficient cred-sealed file=odd.sealed as=client-certificate
EOT
ask odd
expect_status 5
expect_err 'none of the certificates'
expect_one_line

# Registries.
printf '{"auths":{"https://index.docker.io/v1/":{"auth":"%s"},"r.example.com":{"username":"bob","password":"s3cr3t"}}}' \
	"$(printf hub:s3cr3t-hub | base64)" | seal docker image-credential --pcrs sha256:11
profile docker <<'EOT'
sufficient cred-sealed file=docker.sealed as=docker-config ttl=5m
EOT
it 'gives what a sealed docker config.json has for the image'
ask_for docker r.example.com/team/app
expect_status 0
expect_no_err
expect_json "j['auth']" '{"r.example.com": {"username": "bob", "password": "s3cr3t"}}'
expect_json "j['cacheDuration']" 5m0s
ask_for docker docker.io/library/nginx
expect_json "j['auth']" '{"index.docker.io": {"username": "hub", "password": "s3cr3t-hub"}}'
ask_for docker quay.io/a/b
expect_status 0
expect_json "j['auth']" '{}'
expect_clean

printf 's3cr3t-a\n' | seal a image-credential
printf 's3cr3t-b' | seal b image-credential
profile registries <<'EOT'
sufficient cred-sealed file=a.sealed as=registry-password registry=a.example.com username=ann
sufficient cred-sealed file=b.sealed as=registry-password registry=*.b.example.com/team username=ben
EOT
it 'gives a sealed password to its registry'
ask_for registries a.example.com/x
expect_json "j['auth']" '{"a.example.com": {"username": "ann", "password": "s3cr3t-a"}}'
ask_for registries x.b.example.com/team/y
expect_json "j['auth']" '{"*.b.example.com/team": {"username": "ben", "password": "s3cr3t-b"}}'
expect_json "j['cacheKeyType']" Image
ask_for registries x.b.example.com/other
expect_json "j['auth']" '{}'

it 'does not unseal what is not asked for'
stop_where=$KUBETPM_TCTI
KUBETPM_TCTI=swtpm:path=$dir/nowhere
ask_for registries c.example.com/x
expect_status 0
expect_json "j['auth']" '{}'
ask_for t r.example.com/x
expect_status 0
expect_json "j['auth']" '{}'
ask docker
expect_status 2
expect_err 'no module has a credential'
ask t
expect_status 4
expect_one_line
KUBETPM_TCTI=$stop_where

# Purposes.
it 'refuses a file of another purpose'
profile purpose <<'EOT'
sufficient cred-sealed file=docker.sealed as=token
EOT
ask purpose
expect_status 8
expect_err 'purpose'
expect_one_line
profile purpose <<'EOT'
sufficient cred-sealed file=t.sealed as=docker-config
EOT
ask_for purpose r.example.com/a
expect_status 8
expect_err 'purpose'
printf k | seal kms kms
profile purpose <<'EOT'
sufficient cred-sealed file=kms.sealed as=token
EOT
ask purpose
expect_status 8
expect_clean

# Arguments.
bad() { # rule, message
	echo "$1" >d/bad
	ask bad
	expect_status 2
	expect_err "$2"
	expect_one_line
	expect_no_out
}
it 'refuses arguments that make no sense'
bad 'sufficient cred-sealed as=token' 'needs file='
bad 'sufficient cred-sealed file=t.sealed' 'needs as='
bad 'sufficient cred-sealed file=t.sealed as=cookie' 'as= is token'
bad 'sufficient cred-sealed file=t.sealed as=token ttl=59s' 'at least 1m'
bad 'sufficient cred-sealed file=t.sealed as=token ttl=ten' 'ttl='
bad 'sufficient cred-sealed file=t.sealed as=token ttl=99999999h' 'ttl='
bad 'sufficient cred-sealed file=t.sealed as=token username=u' 'registry-password'
bad 'sufficient cred-sealed file=a.sealed as=registry-password registry=r' 'registry-password'
bad 'sufficient cred-sealed file=nowhere.sealed as=token' 'nowhere.sealed'
bad 'required pcr-state pcrs=sha256:11' 'needs expect='
bad 'required pcr-state pcrs=sha256:99 expect=x' 'pcrs='
bad 'required pcr-state expect=nowhere.json' 'nowhere.json'

it 'refuses passwords and patterns that are none'
printf '\n' | seal empty image-credential
printf 'two\nlines\n' | seal lines image-credential
echo 'sufficient cred-sealed file=empty.sealed as=registry-password registry=r.io username=u' >d/odd
ask_for odd r.io/a
expect_status 5
expect_err 'empty'
echo 'sufficient cred-sealed file=lines.sealed as=registry-password registry=r.io username=u' >d/odd
ask_for odd r.io/a
expect_status 5
expect_err 'newline'
expect_nowhere two
echo 'sufficient cred-sealed file=a.sealed as=registry-password registry=r.io:port username=u' >d/odd
ask_for odd r.io/a
expect_status 2
expect_err 'registry=r.io:port'
expect_one_line

it 'leaves out, and tells, what the kubelet could not parse either'
printf '{"auths":{"r.io:port":{"auth":"dTpw"},"r.io":{"auth":"dTpw"}}}' | seal half image-credential
echo 'sufficient cred-sealed file=half.sealed as=docker-config' >d/half
ask_for half r.io/a
expect_status 0
expect_err 'warning: cred-sealed: auths, entry 1 is no host[:port][/path]'
expect_json "list(j['auth'])" '["r.io"]'

# PINs.
it 'uses a PIN from a file that only its owner can read'
printf 1234 >d/pin
printf 4321 >d/wrong-pin
chmod 600 d/pin d/wrong-pin
printf pinned | seal pin exec-credential --pin-file d/pin
profile pinned <<'EOT'
sufficient cred-sealed file=pin.sealed as=token pin-file=pin
EOT
ask pinned
expect_status 0
expect_json "j['status']['token']" pinned
profile pinned <<'EOT'
sufficient cred-sealed file=pin.sealed as=token pin-file=wrong-pin
EOT
ask pinned
expect_status 6
expect_one_line
expect_nowhere 4321
profile pinned <<'EOT'
sufficient cred-sealed file=pin.sealed as=token
EOT
ask pinned
expect_status 6
chmod 644 d/pin
profile pinned <<'EOT'
sufficient cred-sealed file=pin.sealed as=token pin-file=pin
EOT
ask pinned
expect_status 8
expect_clean

# The gate.
sealtool pcrs --json >d/state.json
profile gate <<'EOT'
requisite pcr-state pcrs=sha256:11,16 expect=state.json
sufficient cred-sealed file=forever.sealed as=token
EOT
printf always | seal forever exec-credential
it 'opens the gate while the PCRs are as recorded'
ask gate
expect_status 0
expect_json "j['status']['token']" always

it 'shuts it, and names the PCR with both values'
must tpm2_pcrextend "16:sha256=$one"
now=$(tpm2_pcrread sha256:16 | sed -n 's/.*0x//p' | tr 'A-F' 'a-f')
ask gate
expect_status 3
expect_err "PCR 16 (sha256): expected $(printf '%064d' 0), present $now"
expect_one_line
expect_no_out
expect_nowhere always
expect_clean

it 'reads all PCRs of the file where none are chosen'
profile all <<'EOT'
requisite pcr-state expect=state.json
sufficient cred-sealed file=forever.sealed as=token
EOT
ask all
expect_status 3
expect_err 'PCR 16'

it 'tells of several PCRs, and how many more there are'
must tpm2_pcrextend "8:sha256=$one" "9:sha256=$one"
ask all
expect_status 3
expect_err 'PCR 8 (sha256)'
expect_err '; PCR 9 (sha256)'
must tpm2_pcrextend "10:sha256=$one" "12:sha256=$one" "13:sha256=$one" "14:sha256=$one"
ask all
expect_err '; and '
expect_err ' more; if the change'
expect_one_line

it 'does not look at PCRs that do not count'
profile some <<'EOT'
requisite pcr-state pcrs=sha256:0,11 expect=state.json
sufficient cred-sealed file=forever.sealed as=token
EOT
ask some
expect_status 0

it 'refuses a record that others can write, or that says nothing'
chmod g+w d/state.json
ask some
expect_status 8
expect_one_line
chmod g-w d/state.json
echo '{"pcrs":{"sha256":{"7":"00"}}}' >d/state.json
ask some
expect_status 5
expect_err 'state.json'
printf '{"pcrs":{"sha256":{"7":"%064d"}}}' 0 >d/state.json
ask some
expect_status 2
expect_err 'does not have every PCR of pcrs=sha256:0,11'

# The state that the token is sealed to.
it 'refuses in another state, and names the PCR'
must tpm2_pcrextend "11:sha256=$one"
ask t
expect_status 3
expect_err 'PCR 11'
expect_one_line
expect_no_out
expect_nowhere s3cr3t
expect_clean

it 'falls back as the profile says'
profile fallback <<'EOT'
sufficient cred-sealed file=t.sealed as=token ttl=10m
sufficient cred-sealed file=forever.sealed as=token ttl=1m
EOT
ask fallback
expect_status 0
expect_json "j['status']['token']" always
expect_clean

it 'tells another machine from another state'
mine=$tpm_dir
must start_tpm
must sealtool init
ask forever
expect_status 10
expect_one_line
stop_tpm
use_tpm "$mine"

it 'answers thirty at once on a bare socket, each in turn'
profile many <<'EOT'
sufficient cred-sealed file=forever.sealed as=token
EOT
thirty() {
	rm -f many.*
	i=0
	copies=
	while [ "$i" -lt 30 ]; do
		i=$((i + 1))
		KUBERNETES_EXEC_INFO=$info "$exec_plugin" --profile-dir d --profile many \
			</dev/null >"many.$i" 2>"many.$i.err" &
		copies="$copies $!"
	done
	for copy in $copies; do
		wait "$copy" || wrong "a copy ended with status $?"
	done
	ran='thirty copies'
	expect 'all are silent' [ "$(cat many.*.err | grep -c '')" -eq 0 ]
	i=0
	while [ "$i" -lt 30 ]; do
		i=$((i + 1))
		expect "copy $i answered" grep -q '"token":"always"' "many.$i"
	done
}
thirty
expect_clean

it 'dies by SIGTERM while it waits for the TPM, and prints nothing'
flock "$tpm_dir" sleep 5 &
lock=$!
sleep 0.3
KUBERNETES_EXEC_INFO=$info "$exec_plugin" --profile-dir d --profile many </dev/null >"$out" 2>"$err" &
child=$!
sleep 0.5
kill -TERM "$child"
status=0
wait "$child" || status=$?
kill "$lock" 2>/dev/null
wait "$lock"
ran='exec-plugin, SIGTERM'
expect_status 143
expect_no_out
expect_nowhere always

if command -v tpm2-abrmd >/dev/null && command -v dbus-daemon >/dev/null; then
	must start_abrmd
	it 'answers thirty at once through tpm2-abrmd'
	thirty
else
	skip 'answers thirty at once through tpm2-abrmd' 'no tpm2-abrmd here'
fi

done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What an operator reads when something is not as meant: it has to say what to do next.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
secret=$(openssl rand -hex 20)
printf %s "$secret" >plain
printf '1234\n' >pin
chmod 600 pin
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out rec.pem 2>/dev/null
openssl pkey -in rec.pem -pubout -out rec.pub
sealtool srk -o b.pub
must sealtool seal --name t --purpose exec-credential --pcrs sha256:16 --recovery rec.pub -o t.sealed <plain
must sealtool export --tss2 -o t.tss t.sealed

it 'the wrong kind of file is called what it is'
run sealtool unseal /etc/passwd
expect_status 5
expect_err 'not a sealed file'
run sealtool unseal t.tss
expect_status 5
expect_err 'sealtool import'
run sealtool import --name n --purpose p -o x.sealed t.sealed
expect_status 5
expect_err 'sealtool unseal'
run sealtool seal --name n --purpose p --for rec.pub -o x.sealed <plain
expect_status 5
expect_err 'sealtool srk -o'
run sealtool seal --name n --purpose p --for b.pub --for-pcrs b.pub -o x.sealed <plain
expect_status 5
expect_err 'sealtool pcrs --json'
run sealtool recover --key rec.pub t.sealed
expect_status 5
expect_err 'give the private one'

it 'a file without a recovery key, or of a purpose nobody asks for, is made with a warning'
run sealtool seal --name n --purpose exec-credentail --pcrs sha256:16 -o x.sealed <plain
expect_status 0
expect_err 'exec-credentail'
expect_err --recovery
run sealtool seal --name n --purpose exec-credential --recovery rec.pub -o x.sealed <plain
expect_status 0
expect_no_err

it 'a PIN that has no place is not taken silently'
run sealtool unseal --pin-file pin t.sealed
expect_status 0
expect_err 'without a PIN'
run sealtool reseal --pin-file pin --new-pin-file pin t.sealed
expect_status 2
expect_err 'recipient add'

it 'the man page gives a file a PIN, and takes it away'
run sealtool recipient add --pcrs sha256:11 --new-pin-file pin t.sealed
expect_status 0
run sealtool recipient remove --pin-file pin --slot 0 t.sealed
expect_status 0
run sealtool unseal t.sealed
expect_status 6
run sealtool recipient add --pin-file pin --pcrs sha256:11 t.sealed
expect_status 0
run sealtool show --json t.sealed
expect_json '[r.get("policy", {}).get("pin") for r in j["recipients"]]' '[null, true, false]'
run sealtool recipient remove --pin-file pin --slot 1 t.sealed
expect_status 0
run sealtool unseal t.sealed
expect_status 0
expect_out_is "$secret"

it 'two slots that do not open: both are told'
must sealtool seal --name t --purpose exec-credential --pcrs sha256:16 -o two.sealed <plain
must sealtool recipient add --pcrs "sha256:12=$(printf '%064d' 1)" two.sealed
tpm2_pcrextend "16:sha256=$(printf '%064d' 1)"
run sealtool unseal two.sealed
expect_status 3
expect_one_line
expect_err 'slot 0: '
expect_err 'slot 1: '
expect_err 'PCR 12'

it 'a replaced storage key: the way on is told, and works'
run sealtool recipient list t.sealed
tpm2_clear -c p >/dev/null 2>&1 || tpm2_clear >/dev/null 2>&1
run sealtool unseal t.sealed
expect_status 12
expect_err 'sealtool init'
must sealtool init
run sealtool unseal t.sealed
expect_status 10
expect_err 'recipient add --key'
run sealtool recipient add --key rec.pem --pcrs sha256:7 t.sealed
expect_status 0
run sealtool unseal t.sealed
expect_status 0
expect_out_is "$secret"
run sealtool unseal two.sealed
expect_status 10
expect_err 'no recovery slot'

it 'the lockout hint is a command that works with a lockout authorisation'
printf 'lockoutauth' >lockout-auth
must tpm2_changeauth -c lockout file:lockout-auth
must sealtool seal --name p --purpose exec-credential --pin-file pin -o p.sealed <plain
printf 'bad\n' >bad
chmod 600 bad
for _ in 1 2 3; do
	run sealtool unseal --pin-file bad p.sealed
done
run sealtool unseal --pin-file pin p.sealed
expect_status 7
expect_err 'tpm2_dictionarylockout --clear-lockout --auth=file:LOCKOUT-AUTH'
run tpm2_dictionarylockout --clear-lockout --auth=file:lockout-auth
expect_status 0
run sealtool unseal --pin-file pin p.sealed
expect_status 0

if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	it 'a file that the user may not read is a refusal that says so'
	chmod 711 "$tap_dir" "$dir"
	run setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v sealtool)" show "$dir/t.sealed"
	expect_status 8
	expect_err 'must be able to read it'
else
	skip 'a file that the user may not read' 'needs root to try'
fi

it 'what the terminal and the command line say'
run sealtool help
expect_status 0
expect_out unseal
run sealtool --tcti x doctor
expect_status 2
expect_err 'after the verb'

done_testing

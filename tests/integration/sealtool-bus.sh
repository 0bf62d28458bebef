#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Somebody on the bus between the machine and its TPM: what he can read, and what he can change.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

# Another TPM's key, which is the attacker's: he knows, or has, its private part.
must start_tpm
must sealtool init
must sealtool srk -o attacker.pub
attacker_tpm=$tpm_dir
must start_tpm
must sealtool init
must sealtool srk -o own.pub

secret=$(openssl rand -hex 20)
pin=$(openssl rand -hex 12)
printf %s "$secret" >plain
printf '%s\n' "$pin" >pin
chmod 600 pin

# bus WHAT N: an interposer; $bus is the TCTI through it, and bus.log has what passed
bus() {
	rm -f bus.log
	"$tools/tpm-proxy.py" "$tpm_dir/tpm" "$tpm_dir/bus" "$1" "$2" "$dir/bus.log" >proxy.log 2>&1 &
	proxy=$!
	tpm_wait_for test -S "$tpm_dir/bus"
	bus=swtpm:path=$tpm_dir/bus
}
end_bus() {
	tpm_end "$proxy"
	rm -f "$tpm_dir/bus" "$tpm_dir/bus.ctrl"
}
on_the_bus() {
	grep -qaF -e "$1" bus.log
}

it 'the interposer sees what crosses in clear, so that what follows means something'
bus 0 0
run tpm2_create -T "$bus" -Q -C 0x81000001 -i plain -u plain.pub -r plain.priv
expect_status 0
expect 'tpm2_create shows the secret' on_the_bus "$secret"
flush_tpm
end_bus

it 'sealing and opening: neither the secret nor the PIN crosses in clear'
bus 0 0
run sealtool seal --tcti "$bus" --name t --purpose p --pcrs sha256:16 --pin-file pin -o t.sealed <plain
expect_status 0
run sealtool unseal --tcti "$bus" --pin-file pin t.sealed
expect_status 0
expect_out_is "$secret"
run sealtool export --tcti "$bus" --tss2 --pin-file pin -o t.pem t.sealed
expect_status 0
run sealtool import --tcti "$bus" --name t --purpose p --key-auth-file pin -o i.sealed t.pem
expect_status 0
expect 'something was seen' test -s bus.log
if on_the_bus "$secret"; then wrong 'the secret crossed in clear'; fi
if on_the_bus "$pin"; then wrong 'the PIN crossed in clear'; fi
end_bus

it 'the owner authorisation does not cross in clear'
owner=$(openssl rand -hex 12)
printf '%s\n' "$owner" >owner
chmod 600 owner
kept=$tpm_dir
must start_tpm
must tpm2_changeauth -c owner "$owner"
bus 0 0
run sealtool init --tcti "$bus" --owner-auth-file owner
expect_status 0
expect_out 'made the storage root key'
if on_the_bus "$owner"; then wrong 'the owner authorisation crossed in clear'; fi
end_bus
stop_tpm
use_tpm "$kept"

it 'a public key of his own under the right Name is found out'
bus "key=$dir/attacker.pub" 1
run sealtool unseal --tcti "$bus" --pin-file pin t.sealed
expect_status 8
expect_one_line
expect_err 'do not belong together'
expect_nowhere "$secret"
end_bus
bus "key=$dir/attacker.pub" 1
run sealtool seal --tcti "$bus" --name t --purpose p -o x.sealed <plain
expect_status 8
expect 'no file was made' test ! -e x.sealed
if on_the_bus "$secret"; then wrong 'the secret was sent'; fi
end_bus

it 'a whole TPM of his own opens nothing, and is told apart when sealing if the Name is pinned'
name=$(sealtool srk | sed -n 's/^name: *//p')
run sealtool unseal --tcti "swtpm:path=$attacker_tpm/tpm" --pin-file pin t.sealed
expect_status 10
run sealtool seal --tcti "swtpm:path=$attacker_tpm/tpm" --parent-name "$name" --name t --purpose p \
	-o x.sealed <plain
expect_status 10
expect_err "$name"
expect 'no file was made' test ! -e x.sealed
run sealtool seal --parent-name "$name" --name t --purpose p -o x.sealed <plain
expect_status 0

it 'every answer, changed by one bit, opens to the secret or to nothing'
for at in 1 2 3 4 5 6 7; do
	bus flip $at
	run sealtool unseal --tcti "$bus" --pin-file pin t.sealed
	case $status in
	0) expect_out_is "$secret" ;; # an answer that carries nothing, or a handle that is flushed
	1 | 4 | 5 | 6 | 8 | 10 | 11 | 12) expect_no_out ;;
	*) wrong "status $status" ;;
	esac
	end_bus
	flush_tpm
	tpm2_dictionarylockout --clear-lockout >/dev/null 2>&1
done

done_testing

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Files that another user could have put there are not believed: anybody can seal for this TPM.
. "$(dirname "$0")/../tools/tap.sh"
. "$(dirname "$0")/../tools/swtpm.sh"

must start_tpm
must sealtool init
umask 077
printf mine >plain
mkdir d
sealtool seal --name t --purpose exec-credential --pcrs sha256:16 -o d/t.sealed <plain 2>/dev/null
printf '1234\n' >d/pin
sealtool seal --name t --purpose exec-credential --pin-file d/pin -o d/p.sealed <plain 2>/dev/null
echo 'sufficient cred-sealed file=t.sealed as=token' >d/token
echo 'sufficient cred-sealed file=p.sealed as=token pin-file=pin' >d/with-pin
echo 'sufficient cred-sealed file=fifo as=token' >d/fifo-profile
request='{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1","spec":{}}'
plugin() {
	run env "KUBERNETES_EXEC_INFO=$request" timeout 10 "$exec_plugin" --profile-dir "$dir/d" \
		--profile "$1"
}
refused() {
	expect_status 8
	expect_one_line
	expect_no_out
	expect_err "$1"
}

it 'its own files are'
plugin token
expect_status 0
expect_out '"token":"mine"'
plugin with-pin
expect_status 0

it 'a sealed file that others can write is not'
for mode in 620 602 666; do
	chmod $mode d/t.sealed
	plugin token
	refused 'can be written by others'
done
chmod 600 d/t.sealed

it 'a pipe is not, and does not hold it up'
mkfifo d/fifo
plugin fifo-profile
refused 'not a regular file'

if [ "$(id -u)" -eq 0 ]; then
	it 'a sealed file of another user is not, nor one behind a link of his'
	chown 65534 d/t.sealed
	plugin token
	refused 'belongs to user 65534'
	mv d/t.sealed d/his.sealed
	ln -s his.sealed d/t.sealed
	plugin token
	refused 'belongs to user 65534'
	rm d/t.sealed
	mv d/his.sealed d/t.sealed
	chown 0 d/t.sealed

	it "another user's PIN file is not: he could spend the tries"
	chown 65534 d/pin
	plugin with-pin
	refused 'belongs to user 65534'
	run sealtool unseal --pin-file d/pin d/p.sealed
	expect_status 8
	chown 0 d/pin
	run sealtool doctor --json
	expect_json '[f["detail"][0] for f in j["findings"] if f["id"] == "lockout"][0]' 3
else
	skip 'a sealed file of another user' 'needs root to make one'
	skip "another user's PIN file" 'needs root to make one'
fi

done_testing

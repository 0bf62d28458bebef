# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# shellcheck disable=SC2154,SC2034 # out and err are tap.sh's, and so is ran
#
# For tests of kms-shim on a pipe: source this after tap.sh.
#
#	start_shim CONF; ask JSON (its reply is then $out); stop_shim; kill_shim
#
# Replies come in the order of requests; one that died replies nothing. A TPM that is started meanwhile must not
# keep descriptor 3 open (3>&-): then there would be no end of file.

kms_shim=$STAGE/usr/libexec/kubetpm/kms-shim
plaintext=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=

start_shim() {
	rm -f requests replies
	mkfifo requests
	: >replies
	"$kms_shim" --config "$1" --stdio <requests >replies 2>shim.err &
	shim=$!
	exec 3>requests
	asked=0
}
# await_replies SECONDS
await_replies() {
	ask_tries=0
	until [ "$(grep -c '' replies)" -ge "$asked" ]; do
		ask_tries=$((ask_tries + 1))
		if [ "$ask_tries" -gt $(($1 * 40)) ] || ! kill -0 "$shim" 2>/dev/null; then
			break
		fi
		sleep 0.025
	done
	sed -n "${asked}p" replies >"$out"
	cp shim.err "$err"
}
ask() {
	ran="kms-shim <<< $1"
	printf '%s\n' "$1" >&3
	asked=$((asked + 1))
	await_replies 30
}
stop_shim() {
	[ -n "${shim-}" ] || return 0
	exec 3>&-
	status=0
	wait "$shim" || status=$?
	shim=
	cp shim.err "$err"
	ran='the end of kms-shim'
}
kill_shim() {
	kill -KILL "$shim" 2>/dev/null
	wait "$shim" 2>/dev/null
	exec 3>&-
	shim=
	flush_tpm
}
end_shim() {
	[ -z "${shim-}" ] || kill "$shim" 2>/dev/null
}
at_exit end_shim
expect_plaintext() {
	expect_json 'j.get("plaintext")' "$plaintext"
}

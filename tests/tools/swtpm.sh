# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# A private software TPM: source this after tap.sh (or without it, and call stop_tpm yourself).
#
#	start_tpm		a new TPM; exports KUBETPM_TCTI and TPM2TOOLS_TCTI
#	stop_tpm [DIR]		the current one, or that of a folder
#	reset_tpm		power off and on: state kept, PCRs fresh
#	use_tpm DIR		makes another started TPM the current one ($tpm_dir names it)
#	flush_tpm		frees all objects and sessions
#	tpm_leftovers		how many transient objects and sessions it holds
#	start_abrmd		tpm2-abrmd on a private bus before the current TPM
#
# Sockets live in a folder of their own with a short name: a socket's path has 107 characters.

tpm_dir=
tpm_folders=
abrmd_dir=

start_tpm() {
	tpm_dir=$(mktemp -d "${TMPDIR:-/tmp}/kt.XXXXXX") || return 1
	tpm_folders="$tpm_folders $tpm_dir"
	tpm_on
}

tpm_on() {
	rm -f "$tpm_dir/pid"
	swtpm socket --tpm2 --server type=unixio,path="$tpm_dir/tpm" \
		--ctrl type=unixio,path="$tpm_dir/tpm.ctrl" --tpmstate dir="$tpm_dir" \
		--flags not-need-init,startup-clear --pid file="$tpm_dir/pid" \
		>"$tpm_dir/log" 2>&1 </dev/null &
	echo $! >"$tpm_dir/child"
	# Its pid file appears once it listens.
	tpm_tries=0
	until [ -s "$tpm_dir/pid" ]; do
		tpm_tries=$((tpm_tries + 1))
		if [ "$tpm_tries" -gt 200 ]; then
			echo "swtpm did not start:" >&2
			cat "$tpm_dir/log" >&2
			return 1
		fi
		sleep 0.05
	done
	use_tpm "$tpm_dir"
}

use_tpm() {
	tpm_dir=$1
	KUBETPM_TCTI=swtpm:path=$tpm_dir/tpm
	TPM2TOOLS_TCTI=$KUBETPM_TCTI
	export KUBETPM_TCTI TPM2TOOLS_TCTI
}

# Ends a child and waits until it is gone.
tpm_end() {
	kill "$1" 2>/dev/null
	wait "$1" 2>/dev/null
	return 0
}

tpm_off() {
	[ -s "$tpm_dir/child" ] || return 0
	tpm_end "$(cat "$tpm_dir/child")"
	rm -f "$tpm_dir/child" "$tpm_dir/tpm" "$tpm_dir/tpm.ctrl"
}

stop_tpm() {
	tpm_dir=${1:-$tpm_dir}
	[ -n "$tpm_dir" ] || return 0
	tpm_off
	rm -rf "$tpm_dir"
}

stop_all_tpms() {
	stop_abrmd
	for tpm_folder in $tpm_folders; do
		stop_tpm "$tpm_folder"
	done
}

reset_tpm() {
	tpm2_shutdown -c >/dev/null 2>&1
	tpm_off
	tpm_on
}

tpm_leftovers() {
	for tpm_kind in handles-transient handles-loaded-session handles-saved-session; do
		tpm2_getcap "$tpm_kind" || echo '- 0x unknown: the TPM does not answer'
	done 2>&1 | grep -c -e '- 0x'
}

# What tpm2-tools leave behind: without a resource manager their objects and sessions stay.
flush_tpm() {
	for tpm_kind in -t -l -s; do
		tpm2_flushcontext $tpm_kind >/dev/null 2>&1
	done
	return 0
}

# A resource manager as /dev/tpmrm0 has one, on a bus of its own.
start_abrmd() {
	abrmd_dir=$(mktemp -d "${TMPDIR:-/tmp}/kt.XXXXXX") || return 1
	cat >"$abrmd_dir/bus.conf" <<-EOT
		<busconfig>
		  <type>session</type>
		  <listen>unix:path=$abrmd_dir/bus</listen>
		  <auth>EXTERNAL</auth>
		  <policy context="default">
		    <allow send_destination="*" eavesdrop="true"/>
		    <allow eavesdrop="true"/>
		    <allow own="*"/>
		  </policy>
		</busconfig>
	EOT
	dbus-daemon --config-file="$abrmd_dir/bus.conf" --nofork --nopidfile \
		>"$abrmd_dir/bus.log" 2>&1 </dev/null &
	echo $! >"$abrmd_dir/bus.pid"
	tpm_wait_for test -S "$abrmd_dir/bus" || return 1
	DBUS_SESSION_BUS_ADDRESS=unix:path=$abrmd_dir/bus
	export DBUS_SESSION_BUS_ADDRESS
	PATH=$PATH:/usr/sbin tpm2-abrmd --session --allow-root --tcti "swtpm:path=$tpm_dir/tpm" \
		>"$abrmd_dir/log" 2>&1 </dev/null &
	echo $! >"$abrmd_dir/pid"
	KUBETPM_TCTI=tabrmd:bus_type=session
	TPM2TOOLS_TCTI=$KUBETPM_TCTI
	export KUBETPM_TCTI TPM2TOOLS_TCTI
	tpm_wait_for tpm2_getcap properties-fixed || {
		cat "$abrmd_dir/log" >&2
		return 1
	}
}

tpm_wait_for() {
	tpm_tries=0
	until "$@" >/dev/null 2>&1; do
		tpm_tries=$((tpm_tries + 1))
		if [ "$tpm_tries" -gt 100 ]; then
			echo "gave up waiting for: $*" >&2
			return 1
		fi
		sleep 0.1
	done
}

stop_abrmd() {
	[ -n "$abrmd_dir" ] || return 0
	for tpm_file in "$abrmd_dir/pid" "$abrmd_dir/bus.pid"; do
		[ ! -s "$tpm_file" ] || tpm_end "$(cat "$tpm_file")"
	done
	rm -rf "$abrmd_dir"
	abrmd_dir=
	unset DBUS_SESSION_BUS_ADDRESS
	use_tpm "$tpm_dir"
}

if command -v at_exit >/dev/null; then
	at_exit stop_all_tpms
fi

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# check.sh [unit] [integration] - runs the tests of a build folder, two files at a time.
#
#	BUILD	the build folder (made with `make build-tests build-unit`); SAN if it is sanitized
#	U, T	unit tests and integration scripts to run (names; default: all)
#	V=1	prints every file's output, not only what failed
#
# Ends with one line, "N passed, N failed, N skipped"; fails if anything failed or nothing ran. The
# integration scripts run the programs as `make install` lays them out, from a folder of their own.
set -eu
cd "$(dirname "$0")/../.."
top=$(pwd)
seconds_per_file=${CHECK_TIMEOUT:-300}

# One file: its TAP goes to $results/NAME.tap, its exit status to NAME.status, and what a sanitizer
# reports to NAME.san.PID: a report in a child that nobody waits for must not be missed.
run_one() {
	name=$(basename "$2" .sh)
	reports=log_path=$results/$name.san
	export ASAN_OPTIONS="$reports:detect_leaks=1:exitcode=99:detect_stack_use_after_return=1"
	export LSAN_OPTIONS="$reports:exitcode=99:print_suppressions=0"
	export UBSAN_OPTIONS="$reports:exitcode=99:print_stacktrace=1:halt_on_error=1"
	status=0
	case $1 in
	unit)
		timeout -k 5 "$seconds_per_file" "$2" -j1 --tap="$results/$name.tap" \
			>"$results/$name.log" 2>&1 </dev/null || status=$?
		;;
	integration)
		timeout -k 5 "$seconds_per_file" sh "$2" >"$results/$name.tap" 2>"$results/$name.log" \
			</dev/null || status=$?
		;;
	esac
	echo "$status" >"$results/$name.status"
	judge "$name" "$status"
}

# Counts a file's results into NAME.count ("passed failed skipped") and prints its line.
judge() {
	tap=$results/$1.tap
	[ -e "$tap" ] || : >"$tap"
	skipped=$(grep -c '^ok .*# SKIP' "$tap" || :)
	passed=$(($(grep -c '^ok ' "$tap" || :) - skipped))
	failed=$(grep -c '^not ok ' "$tap" || :)
	why=
	if grep -q '^1\.\.0 # SKIP' "$tap" && [ "$2" -eq 0 ]; then
		skipped=1
	elif [ "$2" -eq 124 ] || [ "$2" -eq 137 ]; then
		why="took longer than $seconds_per_file s"
	elif [ "$2" -ne 0 ] && [ "$failed" -eq 0 ]; then
		why="exit status $2"
	elif [ "$((passed + failed + skipped))" -eq 0 ]; then
		why='ran no test'
	elif [ "$(sed -n 's/^1\.\.\([0-9]*\)$/\1/p' "$tap")" != "$((passed + failed + skipped))" ]; then
		why='the plan and the number of results differ'
	fi
	for report in "$results/$1.san".*; do
		[ ! -e "$report" ] || why="${why:+$why; }a sanitizer reported"
		break
	done
	[ -z "$why" ] || failed=$((failed + 1))
	echo "$passed $failed $skipped" >"$results/$1.count"
	if [ "$failed" -gt 0 ]; then
		printf '  FAIL  %s%s\n' "$1" "${why:+: $why}"
		show "$1" >"$results/$1.shown"
	else
		printf '  ok    %s (%s)\n' "$1" "$passed"
	fi
	[ -z "${V-}" ] || sed 's/^/	/' "$tap"
}

# What failed, with what stands around it.
show() {
	echo "--- $1"
	awk '
		/^not ok / { printf "%s%s\n", notes, $0; notes = ""; tail = 1; next }
		/^ok / { notes = ""; tail = 0; next }
		/^Bail out!/ { printf "%s%s\n", notes, $0; notes = ""; next }
		/^#/ { notes = notes $0 "\n"; next }
		tail { print }
		END { printf "%s", notes }' "$results/$1.tap"
	tail -n 15 "$results/$1.log" | sed 's/^/stderr: /'
	for report in "$results/$1.san".*; do
		[ ! -e "$report" ] || head -n 60 "$report"
	done
}

if [ "${1-}" = --one ]; then
	run_one "$2" "$3"
	exit 0
fi

[ -n "${BUILD-}" ] || BUILD=build
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/kt-check.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM
results=$work/results
mkdir "$results"
export BUILD results
if [ -n "${SAN-}" ]; then
	seconds_per_file=$((seconds_per_file * 2))
fi
export CHECK_TIMEOUT="$seconds_per_file"
# Nothing here may reach a real TPM, or a person's own settings.
export KUBETPM_TCTI=swtpm:path=/nonexistent TPM2TOOLS_TCTI=swtpm:path=/nonexistent
export HOME="$work" LC_ALL=C
unset KUBECONFIG KUBERNETES_EXEC_INFO TCTI_PCAP_FILE TSS2_LOG || :
export TSS2_LOG=all+none

stage() {
	STAGE=$work/stage
	export STAGE
	if ! "${MAKE:-make}" --no-print-directory install "DESTDIR=$STAGE" PREFIX=/usr "B=$BUILD" \
		${SAN:+"SAN=$SAN"} ${COV:+COV=1} >"$work/install.log" 2>&1; then
		cat "$work/install.log"
		echo "check.sh: make install failed" >&2
		exit 1
	fi
	PATH=$STAGE/usr/bin:$PATH:/usr/sbin:/sbin
	export PATH
}

list() {
	case $1 in
	unit)
		for f in ${U:-tests/unit/test_*.c}; do
			f=$(basename "$f" .c)
			[ "$f" = 'test_*' ] || echo "unit $BUILD/unit/$f"
		done
		;;
	integration)
		for f in ${T:-tests/integration/*.sh}; do
			f=$(basename "$f" .sh)
			for g in tests/integration/"$f".sh tests/integration/"$f"-*.sh; do
				[ ! -e "$g" ] || echo "integration $top/$g"
			done
		done | sort -u
		;;
	*)
		echo "check.sh: unit or integration, not '$1'" >&2
		exit 2
		;;
	esac
}

[ $# -gt 0 ] || set -- unit integration
for kind in "$@"; do
	list "$kind"
done >"$work/list"
! grep -q '^integration' "$work/list" || stage
xargs -r -n 2 -P 2 "$top/tests/tools/check.sh" --one <"$work/list" || :

cat "$results"/*.shown 2>/dev/null || :
cat "$results"/*.count 2>/dev/null | awk -v files="$(grep -c '' "$work/list")" '
	{ passed += $1; failed += $2; skipped += $3 }
	END {
		failed += files - NR # a file without a count did not get to its end
		printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
		exit !(failed == 0 && passed > 0)
	}'

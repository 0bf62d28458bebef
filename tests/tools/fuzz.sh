#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# fuzz.sh - runs the fuzzers of a build folder, two at a time.
#
#	BUILD		the build folder
#	F		fuzzers to run (names; default: all)
#	FUZZ_SECONDS	for each (default 30)
#
# New inputs stay in a temporary folder; an input that crashes is kept in fuzz-failures/ and becomes a
# unit test.
set -eu
cd "$(dirname "$0")/../.."
top=$(pwd)
seconds=${FUZZ_SECONDS:-30}
longest_input=16384

run_one() {
	mkdir -p "$work/$1/new" "$work/$1/crash"
	corpus=tests/fuzz/corpus/$1
	[ -d "$corpus" ] || corpus=
	status=0
	# shellcheck disable=SC2086 # corpus may be empty
	timeout -k 5 $((seconds + 120)) "$BUILD/fuzz/$1" -max_total_time="$seconds" \
		-max_len="$longest_input" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
		-artifact_prefix="$work/$1/crash/" "$work/$1/new" $corpus \
		>"$work/$1/log" 2>&1 </dev/null || status=$?
	executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1/log")
	if [ "$status" -eq 0 ] && [ "${executions:-0}" -gt 0 ]; then
		printf '  ok    %s: %s executions, %s\n' "$1" "$executions" \
			"$(grep -o 'cov: [0-9]* ft: [0-9]*' "$work/$1/log" | tail -n 1)"
		return
	fi
	printf '  FAIL  %s: status %s\n' "$1" "$status"
	tail -n 60 "$work/$1/log"
	for input in "$work/$1/crash"/*; do
		[ -e "$input" ] || continue
		mkdir -p "$top/fuzz-failures/$1"
		cp "$input" "$top/fuzz-failures/$1/"
		echo "the input: fuzz-failures/$1/$(basename "$input"); again:" \
			"$BUILD/fuzz/$1 fuzz-failures/$1/$(basename "$input")"
	done
	echo "$1" >>"$work/failed"
}

if [ "${1-}" = --one ]; then
	run_one "$2"
	exit 0
fi

[ -n "${BUILD-}" ] || BUILD=build-address-undefined-clang-fuzz
case $BUILD in /*) ;; *) BUILD=$top/$BUILD ;; esac
work=$(mktemp -d "${TMPDIR:-/tmp}/kt-fuzz.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP INT TERM
export BUILD work
# An input that makes the allocator refuse is the fuzzer's doing.
export ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSS2_LOG=all+none

for f in ${F:-tests/fuzz/fuzz_*.c}; do
	f=$(basename "$f" .c)
	[ "$f" = 'fuzz_*' ] || echo "${f#fuzz_}"
done >"$work/list"
if [ ! -s "$work/list" ]; then
	echo "fuzz.sh: no fuzzers" >&2
	exit 1
fi
xargs -n 1 -P 2 "$top/tests/tools/fuzz.sh" --one <"$work/list"
if [ -e "$work/failed" ]; then
	echo "fuzz.sh: failed: $(tr '\n' ' ' <"$work/failed")" >&2
	exit 1
fi

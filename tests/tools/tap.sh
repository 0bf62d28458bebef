# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
#
# TAP for black-box tests: source this, then
#
#	it 'refuses a file of another purpose'
#	run sealtool unseal x.sealed
#	expect_status 8
#	expect_err 'purpose'
#	...
#	done_testing
#
# A case is ok if none of its expectations failed; what failed is printed with the program's output.
# Everything runs in $dir, which is removed at the end; what at_exit() was given runs before.
#
# `make check-integration T=NAME` sets the scene: sealtool is on PATH, exec-plugin is $exec_plugin, both from
# a staged install below $STAGE; $top is the source tree, $BUILD the build folder.

if [ -z "${STAGE-}" ]; then
	echo "run me through: make check-integration T=$(basename "$0" .sh)" >&2
	exit 2
fi
top=$(cd "$(dirname "$0")/../.." && pwd)
tools=$top/tests/tools
exec_plugin=$STAGE/usr/libexec/kubetpm/exec-plugin
# shellcheck disable=SC2034 # for the tests
readonly top tools exec_plugin

tap_dir=$(mktemp -d "${TMPDIR:-/tmp}/kt.XXXXXX") || exit 99
dir=$tap_dir/work
mkdir "$dir"
cd "$dir" || exit 99
out=$tap_dir/out
err=$tap_dir/err
: >"$out"
: >"$err"
status=0
ran=nothing
tap_count=0
tap_failures=0
tap_case=
tap_bad=0
tap_done=
tap_at_exit=

# Commands (a line of shell) to run at the end, last one first.
at_exit() {
	tap_at_exit="$1
$tap_at_exit"
}

tap_leave() {
	code=$?
	trap - EXIT
	set +e
	[ -n "$tap_done" ] || echo "Bail out! ended in the middle of: ${tap_case:-the set-up}"
	eval "$tap_at_exit"
	cd / && rm -rf "$tap_dir"
	[ -n "$tap_done" ] || code=99
	exit "$code"
}
trap tap_leave EXIT
trap 'exit 99' HUP INT TERM

tap_finish() {
	[ -n "$tap_case" ] || return 0
	tap_count=$((tap_count + 1))
	if [ "$tap_bad" -eq 0 ]; then
		echo "ok $tap_count - $tap_case"
	else
		echo "not ok $tap_count - $tap_case"
		tap_failures=$((tap_failures + 1))
	fi
	tap_case=
	tap_bad=0
}

# Begins a case; ends the one before.
it() {
	tap_finish
	tap_case=$1
}

# skip 'case' 'reason'
skip() {
	tap_finish
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

# on_terminal COMMAND: runs a line of shell with a terminal for standard output (a fresh chroot may
# have none to give: see has_terminals).
on_terminal() {
	run script -qec "$1" /dev/null
}
has_terminals() {
	script -qec true /dev/null >/dev/null 2>&1 </dev/null
}

# The whole file is of no use here.
skip_all() {
	echo "1..0 # SKIP $1"
	tap_done=yes
	exit 0
}

done_testing() {
	tap_finish
	echo "1..$tap_count"
	tap_done=yes
	[ "$tap_failures" -eq 0 ] && [ "$tap_count" -gt 0 ]
	exit $?
}

# python_with 'MODULE, ...': the python that has these modules. Debian's belong to Debian's python, which need not be the
# first on PATH.
python_with() {
	if python3 -c "import $1" 2>/dev/null; then
		echo python3
	else
		echo /usr/bin/python3
	fi
}

# The case fails, with a reason and what was seen last.
wrong() {
	tap_bad=1
	echo "# $tap_case: $1"
	echo "#   ran: $ran"
	echo "#   status: $status"
	head -c 2000 "$out" | cat -v | sed 's/^/#   stdout: /' | cut -c 1-400
	head -c 4000 "$err" | cat -v | sed 's/^/#   stderr: /' | cut -c 1-400
}

# Runs a command and keeps $status, $out (a file) and $err (a file). Standard input is the caller's.
run() {
	ran=$*
	status=0
	"$@" >"$out" 2>"$err" || status=$?
}

# Must work, or the test file ends: for set-up that later cases stand on.
must() {
	run "$@"
	if [ "$status" -ne 0 ]; then
		wrong 'set-up failed'
		exit 99
	fi
}

expect_status() {
	[ "$status" -eq "$1" ] || wrong "expected status $1"
}
expect_out() {
	grep -qF -e "$1" "$out" || wrong "stdout lacks: $1"
}
expect_err() {
	grep -qF -e "$1" "$err" || wrong "stderr lacks: $1"
}
expect_no_out() {
	[ ! -s "$out" ] || wrong 'stdout should be empty'
}
expect_no_err() {
	[ ! -s "$err" ] || wrong 'stderr should be empty'
}
# stdout is exactly this, without a newline of its own
expect_out_is() {
	printf %s "$1" | cmp -s - "$out" || wrong "stdout is not: $1"
}
# stdout has the bytes of this file
expect_out_same() {
	cmp -s "$1" "$out" || wrong "stdout differs from $1"
}
# a failure is told on one line
expect_one_line() {
	[ "$(grep -c '' "$err")" -eq 1 ] || wrong 'stderr is not one line'
}
# neither stream has it: for secrets
expect_nowhere() {
	if grep -qF -e "$1" "$out" "$err"; then
		wrong 'a secret was printed'
	fi
}
# expect 'what' COMMAND...: the command succeeds
expect() {
	tap_what=$1
	shift
	"$@" >"$tap_dir/expect" 2>&1 || {
		wrong "$tap_what"
		head -c 1000 "$tap_dir/expect" | sed 's/^/#   /'
	}
}
# json EXPRESSION [FILE]: prints a value of the JSON in FILE or the last stdout; `j` is the document
json() {
	python3 -c '
import json, sys
j = json.load(open(sys.argv[2], encoding="utf-8"))
v = eval(sys.argv[1])
print(v if isinstance(v, str) else json.dumps(v))' "$1" "${2:-$out}"
}
# expect_json EXPRESSION VALUE [FILE]
expect_json() {
	tap_value=$(json "$1" "${3:-$out}" 2>&1 | tail -n 1)
	[ "$tap_value" = "$2" ] || wrong "$1 is $tap_value, not $2"
}

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# lint.sh [CHECK...] - what a script can say about the tree before a reviewer has to. Prints each
# complaint, fails if there was one. Without arguments: every check_* function below.
#
#	BUILD	a build folder made with `make`: its flags, programs and modules are looked at
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 2
BUILD=${BUILD:-build}
longest_file=600
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
: >"$work/complaints"

complain() {
	printf '%s\n' "$*" | tee -a "$work/complaints"
}
# Complains about each line of standard input, if there is any.
complain_lines() {
	local line
	while IFS= read -r line; do
		complain "$1: $line"
	done
}

# Tracked and new files, but for ignored ones and the fuzzers' inputs.
files() {
	git ls-files -co --exclude-standard -- "$@" | grep -v '^tests/fuzz/corpus/' |
		while IFS= read -r f; do
			[ ! -f "$f" ] || printf '%s\n' "$f"
		done | sort -u
}
# Text that we wrote: what is below tests/data came from elsewhere.
texts() {
	files "$@" | grep -v -e '^tests/data/' -e '^LICENSE$'
}
c_files() {
	texts '*.c' '*.h'
}
shipped() {
	texts lib include exec-plugin kms-shim sealtool modules | grep '\.[ch]$'
}
scripts() {
	texts '*.sh' '*.bash' .ci/run
}
man_pages() {
	texts '*.[1578]'
}
# The compiler flags of the build, but for those of one compiler or one kind of output.
flags() {
	local -a all
	eval "all=($(cat "$BUILD/config" "$BUILD/paths"))"
	printf '%s\n' "${all[@]:1}" |
		grep -v -E '^(-M|-Wl,|-fsanitize|-fno-sanitize|--coverage|-O|-[DU]_FORTIFY|-l|-f.*pattern)'
}

check_format() {
	c_files | xargs -r clang-format --dry-run -Werror 2>"$work/format" ||
		{ head -n 40 "$work/format"; complain 'clang-format complained; try: make format'; }
	c_files | while IFS= read -r f; do
		expand -t 8 "$f" | grep -nE '^.{101,}' | cut -c 1-60 | sed "s|^|$f:|"
	done | complain_lines 'longer than 100 columns'
	texts | xargs -r grep -nIE '[[:blank:]]+$' /dev/null | complain_lines 'blanks at the end'
}

check_tidy() {
	local -a f
	mapfile -t f < <(flags)
	# The two that define what analyzer.h redefines go without it.
	shipped | grep '\.c$' | grep -v -x -e lib/error.c -e lib/tpm-error.c | xargs -r -P 2 -I{} \
		clang-tidy --quiet {} -- "${f[@]}" -include tests/tools/analyzer.h >"$work/tidy" 2>&1
	clang-tidy --quiet lib/error.c lib/tpm-error.c -- "${f[@]}" >>"$work/tidy" 2>&1
	if grep -E '(warning|error):' "$work/tidy"; then
		grep -v -e 'warnings generated' -e '^Suppressed ' -e '^Use -header-filter' "$work/tidy" |
			head -n 200
		complain 'clang-tidy complained'
	fi
}

# It does not know of the cleanup attribute; the sanitizers look for leaks.
check_cppcheck() {
	shipped | grep '\.c$' >"$work/sources"
	cppcheck -q -j 2 --std=c11 --language=c --enable=warning,performance,portability \
		--inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
		--suppress=unusedStructMember --suppress=memleak --suppress=resourceLeak -I. -Iinclude -D__GNUC__ -D_GNU_SOURCE \
		--file-list="$work/sources" ||
		complain 'cppcheck complained'
}

# Functions are also called through run(), which it cannot see.
check_shell() {
	scripts | xargs -r shellcheck -x -P SCRIPTDIR -e SC2317 || complain 'shellcheck complained'
}

check_python() {
	local f
	for f in $(texts '*.py') $(texts tests | xargs -r grep -lE '^#!.*python3'); do
		python3 -c 'import ast, sys; ast.parse(open(sys.argv[1]).read())' "$f" ||
			complain "$f is not Python"
	done
}

check_man() {
	local f
	for f in $(man_pages); do
		groff -mdoc -Tascii -ww -z "$f" 2>&1 | complain_lines "$f"
		head -n 1 "$f" | grep -q 'SPDX-License-Identifier' || complain "$f: no SPDX line"
		grep -q "^\.Nm $(basename "$f" | sed 's/\.[0-9]$//')" "$f" || complain "$f: .Nm is not the file's name"
		# What it refers to of ours has to be there.
		sed -n 's/^\.Xr \([a-z0-9-]*\) \([0-9]\).*/\1.\2/p' "$f" | sort -u | while IFS= read -r page; do
			case $page in
			sealtool.* | exec-plugin.* | kubetpm* | cred-* | pcr-state.*)
				man_pages | grep -qE "(^|/)${page//./\\.}\$" || complain "$f: refers to $page"
				;;
			esac
		done
	done
}

# Every header compiles by itself, and so names all that it needs.
check_headers() {
	local -a f
	local h
	mapfile -t f < <(flags)
	for h in $(shipped | grep '\.h$') $(texts tests | grep '\.h$'); do
		echo "#include \"$h\"" | gcc "${f[@]}" -Werror -fsyntax-only -x c - 2>"$work/header" ||
			{ cat "$work/header"; complain "$h does not compile alone"; }
	done
	echo '#include <kubetpm/module.h>' | gcc -std=c11 -pedantic -Wall -Wextra -Werror -Iinclude \
		-fsyntax-only -x c - || complain 'module.h is not plain C11'
}

check_banned() {
	local f
	for f in $(shipped | grep -v '/main\.c$'); do
		gcc -fpreprocessed -dD -E "$f" 2>/dev/null |
			grep -nwE '(strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|gets|system|popen|getenv|exit)[[:blank:]]*\(' |
			sed "s|^|$f: |" | complain_lines 'banned outside main.c'
	done
	shipped | xargs -r grep -nwE '(goto|TODO|FIXME|XXX)' /dev/null | complain_lines 'not done here'
	shipped | grep -v '^lib/loader\.c$' | grep -v '^exec-plugin/loader\.c$' |
		xargs -r grep -nE '\bdlopen\(' /dev/null | complain_lines 'dlopen belongs into the loader'
}

# A module exports one symbol.
check_exports() {
	local so symbols
	for so in "$BUILD"/modules/*.so "$BUILD"/examples/*.so; do
		[ -e "$so" ] || continue
		symbols=$(nm -D --defined-only "$so" | awk '{ print $3 }' | tr '\n' ' ')
		[ "$symbols" = 'kt_module_v1 ' ] || complain "$so exports: $symbols"
	done
}

# Programs and modules are hardened as the build says.
check_hardening() {
	local f
	for f in "$BUILD"/bin/* "$BUILD"/modules/*.so; do
		[ -e "$f" ] || continue
		readelf -lW "$f" | grep -q 'GNU_RELRO' || complain "$f: no RELRO"
		readelf -dW "$f" | grep -qE 'BIND_NOW|FLAGS.*NOW' || complain "$f: lazy binding"
		readelf -lW "$f" | grep 'GNU_STACK' | grep -q 'RWE' && complain "$f: executable stack"
		readelf -hW "$f" | grep -q 'DYN' || complain "$f: not position-independent"
	done
}

check_size() {
	local f n
	for f in $(c_files) $(scripts); do
		n=$(grep -c '' "$f")
		[ "$n" -le "$longest_file" ] || complain "$f has $n lines, more than $longest_file"
	done
}

check_spdx() {
	local f
	for f in $(c_files) $(scripts) $(texts GNUmakefile '*.py' '*.mk'); do
		head -n 2 "$f" | grep -q 'SPDX-License-Identifier: Apache-2.0' || complain "$f: no SPDX line"
	done
}

# Nothing of one person's machine.
check_paths() {
	texts | xargs -r grep -nIE '(^|[^A-Za-z0-9_.~$}-])/(home|work|root|Users)/' /dev/null |
		complain_lines 'a path of one machine'
}

check_docs() {
	tests/tools/lint-docs.py "$BUILD" | complain_lines 'documentation'
}

checks=("$@")
[ $# -gt 0 ] || mapfile -t checks < <(declare -F | sed -n 's/^declare -f check_//p')
for check in "${checks[@]}"; do
	printf '  lint  %s\n' "$check"
	"check_$check"
done
if [ -s "$work/complaints" ]; then
	printf 'lint: %s complaints\n' "$(grep -c '' "$work/complaints")" >&2
	exit 1
fi

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# coverage.sh - runs all tests on a build with COV=1, and tells which lines they never reached: to be
# read for what is missing, not for the percentage.
#
#	BUILD	the build folder
set -eu
cd "$(dirname "$0")/../.."
BUILD=${BUILD:-build-cov}
# gcov's own complaints, of a disk that a test made full, are no program's.
export BUILD COV=1 GCOV_ERROR_FILE=/dev/null
find "$BUILD" -name '*.gcda' -exec rm -f {} +
status=0
tests/tools/check.sh unit integration || status=$?
exec python3 tests/tools/coverage.py "$BUILD" "$status"

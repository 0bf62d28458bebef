/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For clang-tidy only: what the static analyzer cannot see from one file, that these always return
 * -1. Without it every output of a function that failed looks like a value that was never set.
 */
#ifndef KT_TESTS_ANALYZER_H
#define KT_TESTS_ANALYZER_H

#include "lib/error.h"
#include "lib/tpm-error.h"

#define kt_fail(...) ((void)kt_fail(__VA_ARGS__), -1)
#define kt_fail_errno(...) ((void)kt_fail_errno(__VA_ARGS__), -1)
#define kt_fail_ssl(...) ((void)kt_fail_ssl(__VA_ARGS__), -1)
#define kt_fail_memory(...) ((void)kt_fail_memory(__VA_ARGS__), -1)
#define kt_fail_tss(...) ((void)kt_fail_tss(__VA_ARGS__), -1)
#define kt_wrap(...) ((void)kt_wrap(__VA_ARGS__), -1)
#define kt_hint(...) ((void)kt_hint(__VA_ARGS__), -1)

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <string.h>

#include "lib/attest.h"
#include "lib/hex.h"

/* Of a software TPM: extraData "nonce2", auditCounter 2. */
#define ATTEST                                                                                     \
	"ff54434780150022000b44d5dbcc18cbd63c749de2485a624937d406430a92f12b6593f346a4c8beeb2f"     \
	"00066e6f6e636532000000000000007000000001000000000120191023001636360000000000000002000b"   \
	"0020a0f76540e95d2dc4007230552f71d3ea157fcfb813c0423c4e2e2453ecce87fe0020918d3074a15c4c"   \
	"f17e5a15396754f56f9f6a56a9c20cc254ada8d05dfc90f2f9"
#define ATTEST_BYTES ((sizeof(ATTEST) - 1) / 2)

static void read_vector(uint8_t data[ATTEST_BYTES])
{
	struct kt_error e;

	cr_assert_eq(kt_hex_decode(ATTEST, data, ATTEST_BYTES, &e), 0);
}

Test(attest, reads_what_a_tpm_signed)
{
	uint8_t data[ATTEST_BYTES];
	struct kt_attest attest;
	struct kt_error e;

	read_vector(data);
	cr_assert_eq(kt_attest_parse(data, sizeof(data), KT_ATTEST_COMMAND_AUDIT, &attest, &e), 0);
	cr_expect(kt_attest_part_is(&attest.extra, "nonce2", 6));
	cr_expect_eq(attest.counts.counter, 2);
	cr_expect_eq(attest.counts.clock, 112);
	cr_expect_eq(attest.counts.reset, 1);
	cr_expect_eq(attest.counts.restart, 0);
	cr_expect(attest.safe);
	cr_expect_eq(attest.digest_alg, 0xb);
	cr_expect_eq(attest.digest.len, 32);
}

Test(attest, every_cut_and_every_tail_is_refused)
{
	uint8_t data[ATTEST_BYTES + 1] = {0};
	struct kt_attest attest;
	struct kt_error e;

	read_vector(data);
	for (size_t len = 0; len < ATTEST_BYTES; len++)
		cr_expect_eq(kt_attest_parse(data, len, KT_ATTEST_COMMAND_AUDIT, &attest, &e), -1);
	cr_expect_eq(
		kt_attest_parse(data, ATTEST_BYTES + 1, KT_ATTEST_COMMAND_AUDIT, &attest, &e), -1);
	cr_expect_eq(kt_attest_parse(data, ATTEST_BYTES, KT_ATTEST_CREATION, &attest, &e), -1);
	data[0] ^= 1;
	cr_expect_eq(kt_attest_parse(data, ATTEST_BYTES, KT_ATTEST_COMMAND_AUDIT, &attest, &e), -1);
}

Test(attest, a_point_that_is_not_on_the_curve_is_no_key)
{
	uint8_t point[KT_AUDIT_POINT_BYTES] = {1};
	struct kt_ak ak;
	struct kt_error e;

	cr_expect_eq(kt_ak_from_point(point, &ak, &e), -1);
	cr_expect_eq(e.code, KT_E_INPUT);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* audit-verify's core: whatever the text, judged in one piece or cut at each checkpoint, the
 * conclusion is the same. */
#include <assert.h>

#include "lib/hex.h"
#include "tests/fuzz/audit-log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of tests/data/audit. */
static const char point_hex[] = "c1819f804e98aa6df5d15a773443f3cb6bf2a6e80a4a2de2934d36cb89601994"
				"e88474e06ba2779e2df9adcb2b7c291a605052eb372b21409be02dbe6066a5af";

static const struct kt_demands *demands(void)
{
	static struct kt_demands known;
	static struct kt_ak ak;
	uint8_t point[KT_AUDIT_POINT_BYTES];
	struct kt_error e;

	if (known.ak != NULL)
		return &known;
	assert(kt_hex_decode(point_hex, point, sizeof(point), &e) == 0);
	assert(kt_ak_from_point(point, &ak, &e) == 0);
	known.ak = &ak;
	return &known;
}

static void conclude(
	const uint8_t *data, size_t size, size_t unit_bytes, struct kt_conclusion *conclusion)
{
	struct kt_error e;

	assert(kt_conclusion_init(conclusion, demands(), &e) == 0);
	assert(conclude_text(demands(), (const char *)data, size, 1000, unit_bytes, conclusion) ==
		0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_conclusion whole, cut;

	conclude(data, size, KT_CUTTER_UNIT_BYTES, &whole);
	conclude(data, size, 1, &cut);
	assert(kt_conclusion_code(&whole) == kt_conclusion_code(&cut));
	assert(whole.entries == cut.entries && whole.first_n == cut.first_n);
	assert(memcmp(&whole.totals, &cut.totals, sizeof(whole.totals)) == 0);
	assert(memcmp(whole.has_finding, cut.has_finding, sizeof(whole.has_finding)) == 0);
	assert(whole.found_count + whole.found_more == cut.found_count + cut.found_more);
	if (kt_conclusion_code(&whole) == KT_E_NONE)
		assert(whole.has_checkpoint && !whole.is_open);
	kt_conclusion_clear(&whole);
	kt_conclusion_clear(&cut);
	return 0;
}

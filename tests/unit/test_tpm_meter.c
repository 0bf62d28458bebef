/* SPDX-License-Identifier: Apache-2.0 */
/* The TCTI that counts, before one that only takes notes. */
#include <string.h>
#include <time.h>

#include <criterion/criterion.h>

#include "lib/tpm-meter.h"

struct fake {
	TSS2_TCTI_CONTEXT_COMMON_V2 common;
	size_t sent;
	uint8_t last;
	bool cancelled;
	TSS2_RC answer;
};

static TSS2_RC fake_transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
	struct fake *fake = (struct fake *)context;

	fake->sent += size;
	fake->last = command[size - 1];
	return fake->answer;
}

/* Takes two milliseconds. */
static TSS2_RC fake_receive(
	TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response, int32_t timeout)
{
	const struct timespec two_ms = {.tv_nsec = 2000000};
	struct fake *fake = (struct fake *)context;

	cr_expect_eq(timeout, TSS2_TCTI_TIMEOUT_BLOCK);
	nanosleep(&two_ms, NULL);
	*size = 1;
	if (response != NULL)
		response[0] = fake->last;
	return fake->answer;
}

static TSS2_RC fake_cancel(TSS2_TCTI_CONTEXT *context)
{
	((struct fake *)context)->cancelled = true;
	return fake_transmit(context, 1, (const uint8_t *)"c");
}

static struct fake fake;
static struct kt_tpm_figures figures;
static struct kt_tpm_meter meter;
static TSS2_TCTI_CONTEXT *tcti;

static void init(void)
{
	fake.common.v1.magic = 0x1234;
	fake.common.v1.version = 1; /* has no makeSticky */
	fake.common.v1.transmit = fake_transmit;
	fake.common.v1.receive = fake_receive;
	fake.common.v1.cancel = fake_cancel;
	tcti = kt_tpm_meter_init(&meter, (TSS2_TCTI_CONTEXT *)&fake, &figures);
}

TestSuite(tpm_meter, .init = init);

Test(tpm_meter, counts_commands_and_the_time_to_their_answers)
{
	uint8_t response[8] = {0};
	size_t size = sizeof(response);

	for (unsigned i = 1; i <= 3; i++) {
		const uint8_t command[2] = {0, (uint8_t)i};

		cr_assert_eq(Tss2_Tcti_Transmit(tcti, sizeof(command), command), TSS2_RC_SUCCESS);
		cr_assert_eq(Tss2_Tcti_Receive(tcti, &size, NULL, TSS2_TCTI_TIMEOUT_BLOCK),
			TSS2_RC_SUCCESS);
		cr_assert_eq(Tss2_Tcti_Receive(tcti, &size, response, TSS2_TCTI_TIMEOUT_BLOCK),
			TSS2_RC_SUCCESS);
		cr_expect_eq(response[0], i);
		cr_expect_eq(figures.commands, i);
		/* Two receives of one command: their times are added, none twice. */
		cr_expect(figures.busy_us >= i * 4000, "%llu us",
			(unsigned long long)figures.busy_us);
	}
	cr_expect(figures.busy_us < 1000000);
	cr_expect_eq(fake.sent, 6);
	cr_expect_eq(figures.retries, 0);
}

Test(tpm_meter, passes_errors_on)
{
	const uint8_t command[1] = {7};
	uint8_t response[8];
	size_t size = sizeof(response);

	fake.answer = TSS2_TCTI_RC_IO_ERROR;
	cr_expect_eq(Tss2_Tcti_Transmit(tcti, 1, command), TSS2_TCTI_RC_IO_ERROR);
	cr_expect_eq(Tss2_Tcti_Receive(tcti, &size, response, TSS2_TCTI_TIMEOUT_BLOCK),
		TSS2_TCTI_RC_IO_ERROR);
	cr_expect_eq(figures.commands, 1);
}

Test(tpm_meter, is_as_able_as_what_it_stands_before)
{
	TPM2_HANDLE handle = 0;
	size_t count = 0;

	cr_expect_eq(Tss2_Tcti_Cancel(tcti), TSS2_RC_SUCCESS);
	cr_expect(fake.cancelled);
	cr_expect_eq(Tss2_Tcti_SetLocality(tcti, 0), TSS2_TCTI_RC_NOT_IMPLEMENTED);
	cr_expect_eq(Tss2_Tcti_GetPollHandles(tcti, NULL, &count), TSS2_TCTI_RC_NOT_IMPLEMENTED);
	cr_expect_eq(Tss2_Tcti_MakeSticky(tcti, &handle, 1), TSS2_TCTI_RC_ABI_MISMATCH);
	/* It is not the meter's to finalize. */
	Tss2_Tcti_Finalize(tcti);
	cr_expect_eq(fake.common.v1.magic, 0x1234);
}

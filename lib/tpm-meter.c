/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/tpm-meter.h"

#include <time.h>

static struct kt_tpm_meter *meter_of(TSS2_TCTI_CONTEXT *context)
{
	return (struct kt_tpm_meter *)context;
}

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
	struct kt_tpm_meter *meter = meter_of(context);

	meter->sent_us = now_us();
	meter->figures->commands++;
	return Tss2_Tcti_Transmit(meter->inner, size, command);
}

/* Called more than once for a response, if the caller asks for its size first, or polls. */
static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response, int32_t timeout)
{
	struct kt_tpm_meter *meter = meter_of(context);
	TSS2_RC rc = Tss2_Tcti_Receive(meter->inner, size, response, timeout);
	int64_t now = now_us();

	meter->figures->busy_us += (uint64_t)(now - meter->sent_us);
	meter->sent_us = now;
	return rc;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
	(void)context;
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
	return Tss2_Tcti_Cancel(meter_of(context)->inner);
}

static TSS2_RC get_poll_handles(
	TSS2_TCTI_CONTEXT *context, TSS2_TCTI_POLL_HANDLE *handles, size_t *count)
{
	return Tss2_Tcti_GetPollHandles(meter_of(context)->inner, handles, count);
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *context, uint8_t locality)
{
	return Tss2_Tcti_SetLocality(meter_of(context)->inner, locality);
}

static TSS2_RC make_sticky(TSS2_TCTI_CONTEXT *context, TPM2_HANDLE *handle, uint8_t sticky)
{
	return Tss2_Tcti_MakeSticky(meter_of(context)->inner, handle, sticky);
}

TSS2_TCTI_CONTEXT *kt_tpm_meter_init(
	struct kt_tpm_meter *meter, TSS2_TCTI_CONTEXT *inner, struct kt_tpm_figures *figures)
{
	*meter = (struct kt_tpm_meter){
		.common.v1.magic = TSS2_TCTI_MAGIC(inner),
		.common.v1.version = 2,
		.common.v1.transmit = transmit,
		.common.v1.receive = receive,
		.common.v1.finalize = finalize,
		.common.v1.cancel = cancel,
		.common.v1.getPollHandles = get_poll_handles,
		.common.v1.setLocality = set_locality,
		.common.makeSticky = make_sticky,
		.inner = inner,
		.figures = figures,
	};
	return (TSS2_TCTI_CONTEXT *)meter;
}

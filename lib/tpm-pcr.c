/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PCR values out of the TPM. They are read without a session: who could change them on the bus
 * could also make the policy fail, and what is bound to them is checked by the TPM itself.
 */
#include "lib/tpm-pcr.h"

#include "lib/tpm-internal.h"

/* A PCR extended at each of a few reads is somebody's bug, not bad luck. */
#define READ_TRIES 5

static int read_some(struct kt_tpm *tpm, const TPML_PCR_SELECTION *want, UINT32 *ret_counter,
	TPML_PCR_SELECTION **ret_got, TPML_DIGEST **ret_values, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	TSS2_RC rc;

	do
		rc = Esys_PCR_Read(kt_tpm_esys(tpm), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, want,
			ret_counter, ret_got, ret_values);
	while (kt_tpm_retry(tpm, &retry, rc));
	return rc == TSS2_RC_SUCCESS ? 0 : kt_fail_tss(e, rc, "TPM2_PCR_Read");
}

static bool selected(const TPMS_PCR_SELECTION *bank, unsigned index)
{
	return index / 8 < bank->sizeofSelect && (bank->pcrSelect[index / 8] >> index % 8 & 1) != 0;
}

/* Puts the values of one answer into `set` and takes them off `want`. *ret_count tells how many. */
static int take_values(const TPML_PCR_SELECTION *got, const TPML_DIGEST *values,
	TPML_PCR_SELECTION *want, struct kt_pcr_set *set, size_t *ret_count, struct kt_error *e)
{
	size_t taken = 0;

	for (UINT32 b = 0; b < got->count && b < TPM2_NUM_PCR_BANKS; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++) {
			const TPMS_PCR_SELECTION *bank = &got->pcrSelections[b];

			if (!selected(bank, i))
				continue;
			if (taken >= values->count || b >= want->count ||
				want->pcrSelections[b].hash != bank->hash ||
				!selected(&want->pcrSelections[b], i) ||
				values->digests[taken].size != kt_pcr_bank_size(bank->hash))
				return kt_fail(
					e, KT_E_REFUSED, "the TPM's PCR answer is malformed");
			if (kt_pcr_add(set, bank->hash, i, values->digests[taken].buffer, e) < 0)
				return -1;
			want->pcrSelections[b].pcrSelect[i / 8] &= (BYTE) ~(1U << i % 8);
			taken++;
		}
	*ret_count = taken;
	return 0;
}

static bool is_empty(const TPML_PCR_SELECTION *selection)
{
	for (UINT32 b = 0; b < selection->count; b++)
		for (unsigned i = 0; i < KT_PCR_COUNT; i++)
			if (selected(&selection->pcrSelections[b], i))
				return false;
	return true;
}

/* One pass over all PCRs. *ret_torn: they changed while we read. */
static int read_all(struct kt_tpm *tpm, struct kt_pcr_set *set, bool *ret_torn, struct kt_error *e)
{
	TPML_PCR_SELECTION want;
	UINT32 counter = 0, first = 0;
	size_t count = 0;

	kt_pcr_to_tpml(set, &want);
	*ret_torn = false;
	for (bool started = false; !is_empty(&want); started = true) {
		auto_esys TPML_PCR_SELECTION *got = NULL;
		auto_esys TPML_DIGEST *values = NULL;

		if (kt_tpm_check(tpm, e) < 0 ||
			read_some(tpm, &want, &counter, &got, &values, e) < 0 ||
			take_values(got, values, &want, set, &count, e) < 0)
			return -1;
		if (count == 0)
			return kt_fail(e, KT_E_NOT_PROVISIONED,
				"the TPM does not have all of these PCRs: is the bank active? "
				"'sealtool doctor' lists the banks");
		if (!started)
			first = counter;
		else if (counter != first)
			*ret_torn = true;
	}
	return 0;
}

int kt_tpm_read_pcrs(struct kt_tpm *tpm, struct kt_pcr_set *set, struct kt_error *e)
{
	bool torn = true;

	for (int i = 0; torn && i < READ_TRIES; i++)
		if (read_all(tpm, set, &torn, e) < 0)
			return -1;
	return torn ? kt_fail(e, KT_E_BUSY, "PCRs change faster than they can be read; try again")
		    : 0;
}

int kt_tpm_pcr_banks(struct kt_tpm *tpm, struct kt_pcr_set *ret_set, struct kt_error *e)
{
	struct kt_tpm_retry retry = {0};
	auto_esys TPMS_CAPABILITY_DATA *data = NULL;
	struct kt_pcr_set set = {0};
	TPMI_YES_NO more;
	TSS2_RC rc;

	if (kt_tpm_check(tpm, e) < 0)
		return -1;
	do
		rc = Esys_GetCapability(kt_tpm_esys(tpm), ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
			TPM2_CAP_PCRS, 0, 1, &more, &data);
	while (kt_tpm_retry(tpm, &retry, rc));
	if (rc != TSS2_RC_SUCCESS)
		return kt_fail_tss(e, rc, "TPM2_GetCapability");
	for (UINT32 b = 0; b < data->data.assignedPCR.count && b < TPM2_NUM_PCR_BANKS; b++) {
		const TPMS_PCR_SELECTION *bank = &data->data.assignedPCR.pcrSelections[b];

		if (kt_pcr_bank_name(bank->hash) == NULL)
			continue;
		for (unsigned i = 0; i < KT_PCR_COUNT; i++)
			if (selected(bank, i) && kt_pcr_add(&set, bank->hash, i, NULL, e) < 0)
				return -1;
	}
	*ret_set = set;
	return 0;
}

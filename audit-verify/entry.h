/* SPDX-License-Identifier: Apache-2.0 */
/* Entries as people read them, and decryptions for --join. Pure. */
#ifndef KT_AUDIT_VERIFY_ENTRY_H
#define KT_AUDIT_VERIFY_ENTRY_H

#include "audit-verify/unit.h"

/* Is the intent that was replayed last a decryption, or counts as one? */
bool kt_entry_is_decryption(const struct kt_audit_replay *replay);

/* Adds it to unit->decryptions. KT_E_INTERNAL. */
KT_CHECKED int kt_entry_add_decryption(struct kt_unit *unit, const struct kt_audit_record *intent,
	const struct kt_place *place, struct kt_error *e);

/* A line for a result, or for a line that is neither intent nor result, behind unit->entries.
 * `intent`: what a result belongs to. KT_E_INTERNAL. */
KT_CHECKED int kt_entry_describe(struct kt_unit *unit, const struct kt_audit_record *intent,
	const struct kt_audit_record *record, struct kt_error *e);

#endif

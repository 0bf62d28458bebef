/* SPDX-License-Identifier: Apache-2.0 */
/*
 * csr-approver: decides on the CertificateSigningRequests of nodes by what their TPMs prove. One
 * file a verb; this one only finds it.
 */
#include "csr-approver/approver.h"

static const struct kt_verb *const verbs[] = {&verb_review, &verb_inventory};

int main(int argc, char *argv[])
{
	return kt_verb_main(PROGRAM,
		"Decide on nodes' certificate requests by what their TPMs prove.", verbs,
		sizeof(verbs) / sizeof(verbs[0]), argc, argv);
}

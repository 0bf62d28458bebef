/* SPDX-License-Identifier: Apache-2.0 */
/* Exports the function, which returns nothing. */
#include <kubetpm/module.h>

const struct kt_module *kt_module_v1(void);
const struct kt_module *kt_module_v1(void)
{
	return NULL;
}

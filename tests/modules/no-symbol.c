/* SPDX-License-Identifier: Apache-2.0 */
/* A shared object that is no module: its constructor must never run. */
#include <stdlib.h>

__attribute__((constructor)) static void ran(void)
{
	abort();
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Contains the name of the symbol, but does not export it. */
extern const char text_only[];
const char text_only[] = "kt_module_v1";

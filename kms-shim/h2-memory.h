/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for nghttp2 that is wiped when it is freed: plaintexts pass through its buffers. */
#ifndef KT_KMS_SHIM_H2_MEMORY_H
#define KT_KMS_SHIM_H2_MEMORY_H

#include <nghttp2/nghttp2.h>

/* For nghttp2_session_*_new3(), which has no const for it. */
extern nghttp2_mem kt_h2_memory;

#endif

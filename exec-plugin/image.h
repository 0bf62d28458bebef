/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which registry patterns belong to an image, by the kubelet's own rules (kubernetes/kubernetes,
 * pkg/credentialprovider/keyring.go, URLsMatch and isDefaultRegistryMatch), which the kubelet
 * applies to our answer again. Pure.
 *
 *	pattern: host[:port][/path]; `*` in the host stands for any part of one label
 */
#ifndef KT_EXEC_PLUGIN_IMAGE_H
#define KT_EXEC_PLUGIN_IMAGE_H

#include <stdbool.h>

#include "lib/error.h"

#define KT_IMAGE_MAX_BYTES 4096

/* Is this a pattern? KT_E_INPUT, which says what is wrong. */
KT_CHECKED int kt_image_check_pattern(const char *pattern, struct kt_error *e);

/* Is this an image without tag or digest, as the kubelet asks for one? KT_E_INPUT. */
KT_CHECKED int kt_image_check(const char *image, struct kt_error *e);

/* False also where either is malformed. */
bool kt_image_matches(const char *pattern, const char *image);

/* Does only the path of the pattern decide about images of this registry? Then the answer for this
 * image must not be cached for all of its registry. */
bool kt_image_path_decides(const char *pattern, const char *image);

#endif

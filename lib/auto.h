/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cleanup by scope. `auto_free char *p = NULL;` frees p when the block ends; kt_take(p) hands it
 * over and leaves NULL behind. Always initialise where you declare.
 */
#ifndef KT_LIB_AUTO_H
#define KT_LIB_AUTO_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Defines a cleanup function for variables of `type` that frees them with `free_fn`. */
#define KT_AUTO(name, type, free_fn)                                                               \
	static inline void kt_auto_##name(type *p)                                                 \
	{                                                                                          \
		free_fn(*p);                                                                       \
	}

/* The value of pointer `p`, which is cleared: ownership moves to whoever takes it. */
#define kt_take(p)                                                                                 \
	(__extension__({                                                                           \
		__typeof__(p) kt_taken_ = (p);                                                     \
		(p) = NULL;                                                                        \
		kt_taken_;                                                                         \
	}))

static inline void kt_auto_free_p(void *p)
{
	free(*(void **)p);
}

static inline void kt_auto_close_p(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void kt_auto_file_p(FILE **file)
{
	if (*file != NULL)
		fclose(*file);
}

#define auto_free __attribute__((cleanup(kt_auto_free_p)))
#define auto_fd __attribute__((cleanup(kt_auto_close_p)))
#define auto_file __attribute__((cleanup(kt_auto_file_p)))

#endif

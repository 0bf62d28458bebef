/* SPDX-License-Identifier: Apache-2.0 */
/* The socket is a path or, after '@', an abstract name (sd_notify(3), NOTIFY_SOCKET). */
#include "kms-shim/sdnotify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "lib/auto.h"
#include "lib/log.h"

void kt_sdnotify(const char *state)
{
	const char *name = secure_getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	auto_fd int fd = -1;
	size_t len;

	if (name == NULL || (name[0] != '/' && name[0] != '@'))
		return;
	len = strlen(name);
	if (len >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, name, len);
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		kt_debug("cannot notify the service manager: %s", strerror(errno));
}

void kt_sdnotify_reloading(void)
{
	struct timespec now;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
		(int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	kt_sdnotify(state);
}

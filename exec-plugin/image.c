/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kubelet parses both sides as the rest of an https URL, splits host and port, wants equal
 * ports, as many labels, each label to match as filepath.Match does, and the pattern's path to be a
 * prefix, byte by byte, of the image's path ("/team" is one of "/teams/app"). What its URL parser
 * would refuse or read as something other than host, port and path is malformed here.
 */
#include "exec-plugin/image.h"

#include <string.h>

/* RFC 1035, 2.3.4. With them matching takes no time worth speaking of. */
#define HOST_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

#define DEFAULT_REGISTRY "index.docker.io" /* keyring.go, defaultRegistryHost */

struct span {
	const char *text;
	size_t len;
};

struct reference {
	struct span host;
	struct span port; /* empty: none */
	const char *path; /* from the first '/' on, or "" */
	bool bracketed;	  /* an IPv6 address; `host` is without the brackets */
};

static bool consists_of(struct span span, const char *set)
{
	for (size_t i = 0; i < span.len; i++)
		if (strchr(set, span.text[i]) == NULL)
			return false;
	return true;
}

static bool equals(struct span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.text, text, span.len) == 0;
}

/* host, host:port, [address] or [address]:port */
static bool split_authority(struct span authority, struct reference *ret)
{
	const char *end = authority.text + authority.len, *after, *host = authority.text;
	const char *allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*";

	ret->bracketed = authority.len > 0 && *host == '[';
	if (ret->bracketed) {
		after = memchr(host, ']', authority.len);
		if (after == NULL)
			return false;
		ret->host = (struct span){host + 1, (size_t)(after - host) - 1};
		after++;
		allowed = "0123456789abcdefABCDEF:.";
	} else {
		after = memchr(host, ':', authority.len);
		if (after == NULL)
			after = end;
		ret->host = (struct span){host, (size_t)(after - host)};
	}
	ret->port = (struct span){after, 0};
	if (after < end && *after == ':')
		ret->port = (struct span){after + 1, (size_t)(end - after) - 1};
	/* A colon without a port would be no port to the kubelet; here it is more likely "https:".
	 */
	if (after < end && ret->port.len == 0)
		return false;
	return ret->host.len > 0 && consists_of(ret->host, allowed) &&
	       consists_of(ret->port, "0123456789");
}

/* Can it be the name of a host, as to its length? */
static bool is_bounded(struct span host)
{
	size_t label = 0;

	for (size_t i = 0; i < host.len; i++) {
		label = host.text[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX_BYTES)
			return false;
	}
	return host.len <= HOST_MAX_BYTES;
}

static bool split(const char *text, struct reference *ret)
{
	size_t len = strlen(text), host_len = strcspn(text, "/");

	if (len > KT_IMAGE_MAX_BYTES)
		return false;
	ret->path = text + host_len;
	for (const char *p = ret->path; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~' || strchr("?#%\\\"<>^`{|}", *p) != NULL)
			return false;
	return split_authority((struct span){text, host_len}, ret);
}

static bool parse(const char *text, struct reference *ret)
{
	return split(text, ret) && is_bounded(ret->host);
}

/* Of an image of the default registry the first part is no host, and may be longer. */
int kt_image_check(const char *image, struct kt_error *e)
{
	struct reference reference;

	if (!split(image, &reference) || memchr(image, '*', strcspn(image, "/")) != NULL)
		return kt_fail(e, KT_E_INPUT,
			"\"%.200s\" is no image: host[:port]/path without tag", image);
	return 0;
}

int kt_image_check_pattern(const char *pattern, struct kt_error *e)
{
	struct reference reference;

	if (!parse(pattern, &reference))
		return kt_fail(e, KT_E_INPUT,
			"\"%.200s\" is no registry pattern: host[:port][/path], with * in the host",
			pattern);
	return 0;
}

/* `*`: any number of characters, none of which is a dot because a label has none. */
static bool label_matches(struct span glob, struct span label)
{
	size_t g = 0, l = 0, star = SIZE_MAX, resume = 0;

	while (l < label.len) {
		if (g < glob.len && glob.text[g] == '*') {
			star = g++;
			resume = l;
		} else if (g < glob.len && glob.text[g] == label.text[l]) {
			g++;
			l++;
		} else if (star != SIZE_MAX) {
			g = star + 1;
			l = ++resume;
		} else {
			return false;
		}
	}
	while (g < glob.len && glob.text[g] == '*')
		g++;
	return g == glob.len;
}

/* Cuts the first label off; false when nothing is left. */
static bool next_label(struct span *rest, bool *done, struct span *ret_label)
{
	const char *dot;

	if (*done)
		return false;
	dot = memchr(rest->text, '.', rest->len);
	ret_label->text = rest->text;
	ret_label->len = dot != NULL ? (size_t)(dot - rest->text) : rest->len;
	*done = dot == NULL;
	if (dot != NULL)
		*rest = (struct span){dot + 1, rest->len - ret_label->len - 1};
	return true;
}

static bool hosts_match(const struct reference *pattern, const struct reference *image)
{
	struct span globs = pattern->host, labels = image->host, glob, label;
	bool globs_done = false, labels_done = false;

	if (pattern->port.len != image->port.len ||
		memcmp(pattern->port.text, image->port.text, image->port.len) != 0)
		return false;
	/* An address without a port keeps its brackets in the kubelet, and there they are a
	 * character class of the glob, which never matches them. */
	if ((pattern->bracketed || image->bracketed) && image->port.len == 0)
		return false;
	while (next_label(&globs, &globs_done, &glob)) {
		if (!next_label(&labels, &labels_done, &label))
			return false;
		if (!label_matches(glob, label))
			return false;
	}
	return labels_done;
}

/* Is the image one of the default registry? (keyring.go, isDefaultRegistryMatch) */
static bool is_default_registry(const char *image)
{
	struct span first = {image, strcspn(image, "/")};

	if (first.len == 0)
		return false;
	if (image[first.len] == '\0' || equals(first, "docker.io") ||
		equals(first, DEFAULT_REGISTRY))
		return true;
	return memchr(first.text, '.', first.len) == NULL &&
	       memchr(first.text, ':', first.len) == NULL;
}

bool kt_image_matches(const char *pattern, const char *image)
{
	struct reference p, i;

	if (!parse(pattern, &p))
		return false;
	if (strcmp(pattern, DEFAULT_REGISTRY) == 0 && is_default_registry(image))
		return true;
	return parse(image, &i) && hosts_match(&p, &i) &&
	       strncmp(i.path, p.path, strlen(p.path)) == 0;
}

bool kt_image_path_decides(const char *pattern, const char *image)
{
	struct reference p, i;

	/* Without a registry of its own, an image's first component is none, but the kubelet's
	 * cache takes it for one. */
	if (strcmp(pattern, DEFAULT_REGISTRY) == 0 && is_default_registry(image))
		return strncmp(image, "docker.io/", strlen("docker.io/")) != 0 &&
		       strncmp(image, DEFAULT_REGISTRY "/", strlen(DEFAULT_REGISTRY "/")) != 0;
	return parse(pattern, &p) && p.path[0] != '\0' && parse(image, &i) && hosts_match(&p, &i);
}

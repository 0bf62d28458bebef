/* SPDX-License-Identifier: Apache-2.0 */
#include "kms-shim/http-get.h"

#include <string.h>

/* A piece of the head; not terminated. */
struct text {
	const char *at;
	size_t len;
};

static bool is(struct text text, const char *word)
{
	return text.len == strlen(word) && memcmp(text.at, word, text.len) == 0;
}

/* Cuts the text off at the first `c`, which is taken away: false if there is none. */
static bool cut(struct text *rest, char c, struct text *ret_piece)
{
	const char *end = memchr(rest->at, c, rest->len);

	if (end == NULL)
		return false;
	*ret_piece = (struct text){rest->at, (size_t)(end - rest->at)};
	rest->len -= ret_piece->len + 1;
	rest->at = end + 1;
	return true;
}

/* RFC 9110, 5.6.2: a method and a field's name are tokens. */
static bool is_token(struct text text)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			(c == '\0' || strchr(marks, c) == NULL))
			return false;
	}
	return text.len > 0;
}

static bool has_controls(struct text text)
{
	for (size_t i = 0; i < text.len; i++)
		if (((unsigned char)text.at[i] < ' ' && text.at[i] != '\t') || text.at[i] == 0x7f)
			return true;
	return false;
}

/* A query is allowed, and means nothing. */
static unsigned check_target(struct text target, const char *path)
{
	struct text query;

	if (target.len == 0 || target.at[0] != '/' || has_controls(target))
		return 400;
	query = target;
	if (cut(&query, '?', &target))
		return is(target, path) ? 200 : 404;
	return is(target, path) ? 200 : 404;
}

static unsigned check_request_line(struct text line, const char *path, bool *ret_body)
{
	struct text method, target;
	unsigned status;

	if (!cut(&line, ' ', &method) || !cut(&line, ' ', &target) || !is_token(method))
		return 400;
	if (line.len != strlen("HTTP/1.1") || memcmp(line.at, "HTTP/", 5) != 0)
		return 400;
	if (!is(line, "HTTP/1.1") && !is(line, "HTTP/1.0"))
		return 505;
	status = check_target(target, path);
	if (status != 200)
		return status;
	*ret_body = !is(method, "HEAD");
	return is(method, "GET") || is(method, "HEAD") ? 200 : 405;
}

/* The fields do not matter, their form does. */
static unsigned check_field(struct text line)
{
	struct text name;

	return cut(&line, ':', &name) && is_token(name) && !has_controls(line) ? 200 : 400;
}

bool kt_http_get_parse(
	const char *data, size_t len, const char *path, struct kt_http_get *ret_request)
{
	struct text rest = {data, len < KT_HTTP_HEAD_MAX_BYTES ? len : KT_HTTP_HEAD_MAX_BYTES};
	struct kt_http_get request = {.status = 200, .body = true};
	struct text line;
	bool first = true;

	while (request.status == 200 && cut(&rest, '\n', &line)) {
		/* A line ends with CR LF (RFC 9112, 2.2); who sends less is no client of ours. */
		if (line.len == 0 || line.at[line.len - 1] != '\r') {
			request.status = 400;
			break;
		}
		line.len--;
		if (line.len == 0 && !first) {
			*ret_request = request;
			return true;
		}
		request.status =
			first ? check_request_line(line, path, &request.body) : check_field(line);
		first = false;
	}
	if (request.status == 200 && len >= KT_HTTP_HEAD_MAX_BYTES)
		request.status = 431;
	*ret_request = request;
	return request.status != 200;
}

const char *kt_http_reason(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Internal Server Error";
	}
}

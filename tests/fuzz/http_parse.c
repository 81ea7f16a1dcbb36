/*
 * What the HTTP server parses itself: targets, queries, percent-encoding, Host
 * and Origin. The first byte of the input is the length of a parameter's name.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "http/hostname.h"
#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, so that the fuzzer keeps the input. */
static void check(bool holds)
{
	if (!holds)
		abort();
}

/* Decodes, and checks that decoding in place gives the same. */
static void check_decode(struct apd_str in, bool plus)
{
	char *out = apd_malloc(in.len), *same = apd_malloc(in.len);
	size_t n = apd_http_url_decode(in, plus, out);

	check(n <= in.len);
	if (in.len)
		memcpy(same, in.ptr, in.len);
	check(apd_http_url_decode((struct apd_str){same, in.len}, plus, same) == n);
	check(n == 0 || memcmp(out, same, n) == 0);
	free(out);
	free(same);
}

/* True if the part lies within the whole, or is a constant outside of it. */
static bool is_part(struct apd_str part, struct apd_str whole)
{
	if (part.len == 0 || part.ptr < whole.ptr || part.ptr > whole.ptr + whole.len)
		return part.len <= 1;
	return part.ptr + part.len <= whole.ptr + whole.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct apd_str all, name, path, query, value;
	size_t name_len;

	if (size == 0)
		return 0;
	name_len = data[0] < size ? data[0] : size - 1;
	name = (struct apd_str){(const char *)data + 1, name_len};
	all = (struct apd_str){name.ptr + name_len, size - 1 - name_len};
	check_decode(all, true);
	check_decode(all, false);
	apd_http_url_split(all, &path, &query);
	check(is_part(path, all) && is_part(query, all));
	for (unsigned n = 0; (value = apd_http_query_find(query, name, n)).ptr; n++)
		check(is_part(value, query) && n <= all.len);
	apd_http_host_is_loopback(all);
	apd_http_origin_is_host(all, name);
	return 0;
}

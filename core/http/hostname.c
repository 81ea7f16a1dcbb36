/* Reading Host and Origin. */
#include "http/hostname.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

/* Takes a port off the end; false if what follows the name is none. */
static bool split_port(struct apd_str host, struct apd_str *ret_name)
{
	const char *end;
	size_t at;

	if (host.len == 0)
		return false;
	if (host.ptr[0] == '[') {
		end = memchr(host.ptr, ']', host.len);
		if (!end)
			return false;
		at = (size_t)(end + 1 - host.ptr);
	} else {
		end = memchr(host.ptr, ':', host.len);
		at = end ? (size_t)(end - host.ptr) : host.len;
	}
	*ret_name = (struct apd_str){host.ptr, at};
	if (at == host.len)
		return true;
	if (host.ptr[at] != ':')
		return false;
	while (++at < host.len)
		if (host.ptr[at] < '0' || host.ptr[at] > '9')
			return false;
	return true;
}

/* True if s ends with the suffix, in any case. */
static bool ends_with(struct apd_str s, struct apd_str suffix)
{
	return s.len >= suffix.len &&
		strncasecmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0;
}

bool apd_http_host_is_loopback(struct apd_str host)
{
	struct apd_str name;
	struct in6_addr v6;
	struct in_addr v4;
	char text[64];

	if (!split_port(host, &name))
		return false;
	if (name.len > 1 && name.ptr[name.len - 1] == '.')
		name.len--;
	if (ends_with(name, APD_STR("localhost")))
		return name.len == 9 || name.ptr[name.len - 10] == '.';
	if (name.len >= sizeof(text) || memchr(name.ptr, '\0', name.len))
		return false;
	memcpy(text, name.ptr, name.len);
	text[name.len] = '\0';
	if (text[0] == '[') {
		text[name.len - 1] = '\0';
		return inet_pton(AF_INET6, text + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
	}
	return inet_pton(AF_INET, text, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
}

bool apd_http_origin_is_host(struct apd_str origin, struct apd_str host)
{
	const char *colons = origin.len ? memmem(origin.ptr, origin.len, "://", 3) : NULL;
	size_t at;

	if (!colons || host.len == 0)
		return false;
	at = (size_t)(colons + 3 - origin.ptr);
	return origin.len - at == host.len && strncasecmp(colons + 3, host.ptr, host.len) == 0;
}

/* The special-purpose networks of IPv4 and IPv6, and what hides in them. */
#include "webhook/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/alloc.h"

struct range {
	uint8_t bytes[16];
	unsigned bits;
	enum apd_address_class class;
};

static const struct range ranges4[] = {
	{{0}, 8, APD_ADDRESS_UNSPECIFIED}, {{10}, 8, APD_ADDRESS_PRIVATE},
	{{100, 64}, 10, APD_ADDRESS_SHARED}, {{127}, 8, APD_ADDRESS_LOOPBACK},
	{{169, 254}, 16, APD_ADDRESS_LINK_LOCAL}, {{172, 16}, 12, APD_ADDRESS_PRIVATE},
	{{192, 0, 0}, 24, APD_ADDRESS_RESERVED}, /* protocol assignments */
	{{192, 0, 2}, 24, APD_ADDRESS_RESERVED}, /* documentation */
	{{192, 88, 99}, 24, APD_ADDRESS_RESERVED}, /* 6to4 relays of old */
	{{192, 168}, 16, APD_ADDRESS_PRIVATE},
	{{198, 18}, 15, APD_ADDRESS_RESERVED}, /* benchmarks */
	{{198, 51, 100}, 24, APD_ADDRESS_RESERVED}, /* documentation */
	{{203, 0, 113}, 24, APD_ADDRESS_RESERVED}, /* documentation */
	{{224}, 4, APD_ADDRESS_MULTICAST}, {{240}, 4, APD_ADDRESS_RESERVED}, /* and broadcast */
};

/* The first that matches counts; what none matches and is not in 2000::/3 is nobody's. */
static const struct range ranges6[] = {
	{{[15] = 0}, 128, APD_ADDRESS_UNSPECIFIED}, {{[15] = 1}, 128, APD_ADDRESS_LOOPBACK},
	{{0x00, 0x64, 0xff, 0x9b, 0, 1}, 48, APD_ADDRESS_PRIVATE}, /* NAT64 of a site's own */
	{{0xfc}, 7, APD_ADDRESS_PRIVATE}, /* unique local */
	{{0xfe, 0x80}, 10, APD_ADDRESS_LINK_LOCAL},
	{{0xfe, 0xc0}, 10, APD_ADDRESS_PRIVATE}, /* site-local of old */
	{{0xff}, 8, APD_ADDRESS_MULTICAST},
	{{0x20, 0x01}, 23, APD_ADDRESS_RESERVED}, /* protocol assignments, Teredo */
	{{0x20, 0x01, 0x0d, 0xb8}, 32, APD_ADDRESS_RESERVED}, /* documentation */
	{{0x3f, 0xff}, 20, APD_ADDRESS_RESERVED}, /* documentation */
};

/* Where an IPv4 address stands in an IPv6 one. */
struct carrier {
	uint8_t bytes[16];
	unsigned bits;
	unsigned at;
	bool usable; /* such an address reaches the public when its IPv4 address does */
};

static const struct carrier carriers[] = {
	{{[10] = 0xff, [11] = 0xff}, 96, 12, true}, /* mapped */
	{{[8] = 0xff, [9] = 0xff}, 96, 12, false}, /* translated */
	{{0x00, 0x64, 0xff, 0x9b}, 96, 12, true}, /* NAT64 */
	{{0x20, 0x02}, 16, 2, true}, /* 6to4 */
	{{0}, 96, 12, false}, /* compatible */
};

/* True if the first bits of two addresses are the same. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static enum apd_address_class class_in(const uint8_t *bytes, const struct range *ranges, size_t n,
	enum apd_address_class otherwise)
{
	for (size_t i = 0; i < n; i++)
		if (same_bits(bytes, ranges[i].bytes, ranges[i].bits))
			return ranges[i].class;
	return otherwise;
}

static enum apd_address_class classify4(const uint8_t *bytes)
{
	return class_in(bytes, ranges4, APD_COUNT(ranges4), APD_ADDRESS_PUBLIC);
}

/* True for an interface id made of an IPv4 address (ISATAP), which is its last four bytes. */
static bool is_isatap(const uint8_t *bytes)
{
	return (bytes[8] & 0xfd) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe;
}

static enum apd_address_class classify6(const uint8_t *bytes)
{
	enum apd_address_class class =
		class_in(bytes, ranges6, APD_COUNT(ranges6), APD_ADDRESS_PUBLIC);

	if (class != APD_ADDRESS_PUBLIC)
		return class;
	for (size_t i = 0; i < APD_COUNT(carriers); i++) {
		const struct carrier *carrier = &carriers[i];

		if (!same_bits(bytes, carrier->bytes, carrier->bits))
			continue;
		class = classify4(bytes + carrier->at);
		if (class == APD_ADDRESS_PUBLIC && !carrier->usable)
			class = APD_ADDRESS_RESERVED;
		return class;
	}
	if ((bytes[0] & 0xe0) != 0x20)
		return APD_ADDRESS_RESERVED;
	return is_isatap(bytes) ? classify4(bytes + 12) : APD_ADDRESS_PUBLIC;
}

/* The bytes of an address and its family; NULL for one of another kind. */
static const uint8_t *bytes_of(const struct sockaddr *address, socklen_t len, int *ret_family)
{
	if (len >= sizeof(struct sockaddr_in) && address->sa_family == AF_INET) {
		*ret_family = AF_INET;
		return (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)
			->sin_addr;
	}
	if (len >= sizeof(struct sockaddr_in6) && address->sa_family == AF_INET6) {
		*ret_family = AF_INET6;
		return ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr.s6_addr;
	}
	return NULL;
}

enum apd_address_class apd_address_classify(const struct sockaddr *address, socklen_t len)
{
	int family;
	const uint8_t *bytes = bytes_of(address, len, &family);

	if (!bytes)
		return APD_ADDRESS_RESERVED;
	return family == AF_INET ? classify4(bytes) : classify6(bytes);
}

const char *apd_address_class_name(enum apd_address_class class)
{
	static const char *const names[] = {"public", "loopback", "private", "link-local",
		"carrier-grade NAT", "unspecified", "multicast", "reserved"};

	return names[class];
}

/* True if a network of the rules has the address in it. */
static bool listed(const struct apd_address_rules *rules, int family, const uint8_t *bytes)
{
	for (size_t i = 0; i < rules->n_networks; i++) {
		const struct apd_network *network = &rules->networks[i];

		if (network->family == family && same_bits(bytes, network->bytes, network->bits))
			return true;
	}
	return false;
}

bool apd_address_allowed(
	const struct apd_address_rules *rules, const struct sockaddr *address, socklen_t len)
{
	int family;
	const uint8_t *bytes = bytes_of(address, len, &family);

	if (!bytes)
		return false;
	if (listed(rules, family, bytes))
		return true;
	/* A mapped address is the IPv4 address in other clothes: the kernel connects to that. */
	if (family == AF_INET6 && same_bits(bytes, carriers[0].bytes, carriers[0].bits) &&
		listed(rules, AF_INET, bytes + carriers[0].at))
		return true;
	switch (apd_address_classify(address, len)) {
	case APD_ADDRESS_PUBLIC:
		return true;
	case APD_ADDRESS_LOOPBACK:
	case APD_ADDRESS_PRIVATE:
	case APD_ADDRESS_LINK_LOCAL:
	case APD_ADDRESS_SHARED:
		return rules->allow_private;
	case APD_ADDRESS_UNSPECIFIED:
	case APD_ADDRESS_MULTICAST:
	case APD_ADDRESS_RESERVED:
		return false;
	}
	return false;
}

void apd_address_add_text(struct apd_buf *out, const struct sockaddr *address, socklen_t len)
{
	char text[INET6_ADDRSTRLEN];
	int family;
	const uint8_t *bytes = bytes_of(address, len, &family);

	if (bytes && inet_ntop(family, bytes, text, sizeof(text)))
		apd_buf_add_cstr(out, text);
	else
		apd_buf_lit(out, "an address of no known kind");
}

/* Reads "8" up to a limit. */
static int read_bits(struct apd_str text, unsigned most, unsigned *ret_bits)
{
	unsigned bits = 0;

	if (text.len == 0 || text.len > 3)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return -EINVAL;
		bits = bits * 10 + (unsigned)(text.ptr[i] - '0');
	}
	if (bits > most)
		return -EINVAL;
	*ret_bits = bits;
	return 0;
}

int apd_network_parse(struct apd_str text, struct apd_network *ret_network)
{
	const char *slash = text.len ? memchr(text.ptr, '/', text.len) : NULL;
	size_t len = slash ? (size_t)(slash - text.ptr) : text.len;
	struct apd_network network = {0};
	char address[INET6_ADDRSTRLEN];
	unsigned most;

	if (len == 0 || len >= sizeof(address) || memchr(text.ptr, '\0', len))
		return -EINVAL;
	memcpy(address, text.ptr, len);
	address[len] = '\0';
	network.family = memchr(address, ':', len) ? AF_INET6 : AF_INET;
	most = network.family == AF_INET6 ? 128 : 32;
	if (inet_pton(network.family, address, network.bytes) != 1)
		return -EINVAL;
	network.bits = most;
	if (slash &&
		read_bits((struct apd_str){slash + 1, text.len - len - 1}, most, &network.bits) < 0)
		return -EINVAL;
	for (unsigned bit = network.bits; bit < most; bit++)
		if (network.bytes[bit / 8] & 0x80u >> bit % 8)
			return -EINVAL;
	*ret_network = network;
	return 0;
}

/* Which addresses are refused, in all the forms that they come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "webhook/address.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* An address of text; returns its length. */
static socklen_t address_of(const char *text, union address *ret_address)
{
	*ret_address = (union address){0};
	if (strchr(text, ':')) {
		ret_address->v6.sin6_family = AF_INET6;
		assert_int_equal(inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr), 1);
		return sizeof(ret_address->v6);
	}
	ret_address->v4.sin_family = AF_INET;
	assert_int_equal(inet_pton(AF_INET, text, &ret_address->v4.sin_addr), 1);
	return sizeof(ret_address->v4);
}

static const struct {
	const char *text;
	enum apd_address_class class;
} table[] = {
	/* Public, and right beside what is not. */
	{"1.1.1.1", APD_ADDRESS_PUBLIC},
	{"9.255.255.255", APD_ADDRESS_PUBLIC},
	{"11.0.0.0", APD_ADDRESS_PUBLIC},
	{"100.63.255.255", APD_ADDRESS_PUBLIC},
	{"100.128.0.0", APD_ADDRESS_PUBLIC},
	{"126.255.255.255", APD_ADDRESS_PUBLIC},
	{"128.0.0.0", APD_ADDRESS_PUBLIC},
	{"169.253.255.255", APD_ADDRESS_PUBLIC},
	{"169.255.0.0", APD_ADDRESS_PUBLIC},
	{"172.15.255.255", APD_ADDRESS_PUBLIC},
	{"172.32.0.0", APD_ADDRESS_PUBLIC},
	{"192.0.1.0", APD_ADDRESS_PUBLIC},
	{"192.167.255.255", APD_ADDRESS_PUBLIC},
	{"192.169.0.0", APD_ADDRESS_PUBLIC},
	{"198.17.255.255", APD_ADDRESS_PUBLIC},
	{"198.20.0.0", APD_ADDRESS_PUBLIC},
	{"223.255.255.255", APD_ADDRESS_PUBLIC},
	{"2606:4700:4700::1111", APD_ADDRESS_PUBLIC},
	{"2a00:1450:4001::200e", APD_ADDRESS_PUBLIC},
	{"2001:4860:4860::8888", APD_ADDRESS_PUBLIC},
	{"2001:200::1", APD_ADDRESS_PUBLIC},
	/* IPv4. */
	{"0.0.0.0", APD_ADDRESS_UNSPECIFIED},
	{"0.1.2.3", APD_ADDRESS_UNSPECIFIED},
	{"10.0.0.0", APD_ADDRESS_PRIVATE},
	{"10.255.255.255", APD_ADDRESS_PRIVATE},
	{"100.64.0.0", APD_ADDRESS_SHARED},
	{"100.127.255.255", APD_ADDRESS_SHARED},
	{"127.0.0.1", APD_ADDRESS_LOOPBACK},
	{"127.255.255.254", APD_ADDRESS_LOOPBACK},
	{"169.254.169.254", APD_ADDRESS_LINK_LOCAL},
	{"172.16.0.0", APD_ADDRESS_PRIVATE},
	{"172.31.255.255", APD_ADDRESS_PRIVATE},
	{"192.0.0.170", APD_ADDRESS_RESERVED},
	{"192.0.2.1", APD_ADDRESS_RESERVED},
	{"192.88.99.1", APD_ADDRESS_RESERVED},
	{"192.168.0.1", APD_ADDRESS_PRIVATE},
	{"192.168.255.255", APD_ADDRESS_PRIVATE},
	{"198.18.0.1", APD_ADDRESS_RESERVED},
	{"198.19.255.255", APD_ADDRESS_RESERVED},
	{"198.51.100.7", APD_ADDRESS_RESERVED},
	{"203.0.113.7", APD_ADDRESS_RESERVED},
	{"224.0.0.1", APD_ADDRESS_MULTICAST},
	{"239.255.255.255", APD_ADDRESS_MULTICAST},
	{"240.0.0.1", APD_ADDRESS_RESERVED},
	{"255.255.255.255", APD_ADDRESS_RESERVED},
	/* IPv6. */
	{"::", APD_ADDRESS_UNSPECIFIED},
	{"::1", APD_ADDRESS_LOOPBACK},
	{"fc00::1", APD_ADDRESS_PRIVATE},
	{"fdff:ffff::1", APD_ADDRESS_PRIVATE},
	{"fe80::1", APD_ADDRESS_LINK_LOCAL},
	{"febf::1", APD_ADDRESS_LINK_LOCAL},
	{"fec0::1", APD_ADDRESS_PRIVATE},
	{"ff02::1", APD_ADDRESS_MULTICAST},
	{"ff0e::1", APD_ADDRESS_MULTICAST},
	{"100::1", APD_ADDRESS_RESERVED},
	{"2001::1", APD_ADDRESS_RESERVED},
	{"2001:0:7f00:1::1", APD_ADDRESS_RESERVED},
	{"2001:1ff::1", APD_ADDRESS_RESERVED},
	{"2001:db8::1", APD_ADDRESS_RESERVED},
	{"3fff:fff::1", APD_ADDRESS_RESERVED},
	{"4000::1", APD_ADDRESS_RESERVED},
	{"5f00::1", APD_ADDRESS_RESERVED},
	{"e000::1", APD_ADDRESS_RESERVED},
	/* IPv4 within IPv6: mapped, compatible, translated, NAT64, 6to4, ISATAP. */
	{"::ffff:127.0.0.1", APD_ADDRESS_LOOPBACK},
	{"::ffff:7f00:1", APD_ADDRESS_LOOPBACK},
	{"::ffff:10.1.2.3", APD_ADDRESS_PRIVATE},
	{"::ffff:169.254.169.254", APD_ADDRESS_LINK_LOCAL},
	{"::ffff:100.64.0.1", APD_ADDRESS_SHARED},
	{"::ffff:0.0.0.0", APD_ADDRESS_UNSPECIFIED},
	{"::ffff:224.0.0.1", APD_ADDRESS_MULTICAST},
	{"::ffff:1.1.1.1", APD_ADDRESS_PUBLIC},
	{"::127.0.0.1", APD_ADDRESS_LOOPBACK},
	{"::192.168.1.1", APD_ADDRESS_PRIVATE},
	{"::2", APD_ADDRESS_UNSPECIFIED},
	{"::1.1.1.1", APD_ADDRESS_RESERVED},
	{"::ffff:0:10.0.0.1", APD_ADDRESS_PRIVATE},
	{"::ffff:0:1.1.1.1", APD_ADDRESS_RESERVED},
	{"64:ff9b::127.0.0.1", APD_ADDRESS_LOOPBACK},
	{"64:ff9b::10.0.0.1", APD_ADDRESS_PRIVATE},
	{"64:ff9b::169.254.169.254", APD_ADDRESS_LINK_LOCAL},
	{"64:ff9b::1.1.1.1", APD_ADDRESS_PUBLIC},
	{"64:ff9b:1::1.1.1.1", APD_ADDRESS_PRIVATE},
	{"64:ff9b:2::1.1.1.1", APD_ADDRESS_RESERVED},
	{"2002:7f00:1::1", APD_ADDRESS_LOOPBACK},
	{"2002:a00:1::1", APD_ADDRESS_PRIVATE},
	{"2002:c0a8:101::1", APD_ADDRESS_PRIVATE},
	{"2002:a9fe:a9fe::", APD_ADDRESS_LINK_LOCAL},
	{"2002:101:101::1", APD_ADDRESS_PUBLIC},
	{"2a00::5efe:10.0.0.1", APD_ADDRESS_PRIVATE},
	{"2a00::200:5efe:127.0.0.1", APD_ADDRESS_LOOPBACK},
	{"2a00::5efe:1.1.1.1", APD_ADDRESS_PUBLIC},
};

static void classes(void **state)
{
	(void)state;
	for (size_t i = 0; i < APD_COUNT(table); i++) {
		union address address;
		socklen_t len = address_of(table[i].text, &address);
		enum apd_address_class class = apd_address_classify(&address.any, len);

		if (class != table[i].class)
			fail_msg("%s is %s, not %s", table[i].text, apd_address_class_name(class),
				apd_address_class_name(table[i].class));
	}
}

static void only_public_ones_are_allowed(void **state)
{
	static const struct apd_address_rules strict = {0}, lax = {.allow_private = true};

	(void)state;
	for (size_t i = 0; i < APD_COUNT(table); i++) {
		union address address;
		socklen_t len = address_of(table[i].text, &address);
		enum apd_address_class class = table[i].class;
		bool private = class == APD_ADDRESS_LOOPBACK || class == APD_ADDRESS_PRIVATE ||
			class == APD_ADDRESS_LINK_LOCAL || class == APD_ADDRESS_SHARED;

		assert_int_equal(apd_address_allowed(&strict, &address.any, len),
			class == APD_ADDRESS_PUBLIC);
		assert_int_equal(apd_address_allowed(&lax, &address.any, len),
			class == APD_ADDRESS_PUBLIC || private);
	}
}

static void other_families_are_refused(void **state)
{
	static const struct apd_address_rules lax = {.allow_private = true};
	union address address = {.any.sa_family = AF_UNIX};

	(void)state;
	assert_false(apd_address_allowed(&lax, &address.any, sizeof(address)));
	address_of("1.1.1.1", &address);
	assert_false(apd_address_allowed(&lax, &address.any, 4));
	address_of("2606::1", &address);
	assert_false(apd_address_allowed(&lax, &address.any, sizeof(address.v4)));
}

static void networks_are_read(void **state)
{
	static const char *const good[] = {"10.0.0.0/8", "10.1.2.3", "0.0.0.0/0", "10.1.2.3/32",
		"192.168.128.0/17", "fd00::/8", "::1", "::1/128", "::/0", "fe80::/10"};
	static const char *const bad[] = {"", "/", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8",
		"10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0/8", "10/8", "a.b.c.d", "localhost",
		"10.0.0.0/-1", "10.0.0.0/08x", "10.0.0.0/0008", "fd00::/129", "fd00::1/8", "::g",
		"10.0.0.0/255.0.0.0", "[::1]"};
	struct apd_network network;

	(void)state;
	for (size_t i = 0; i < APD_COUNT(good); i++)
		if (apd_network_parse(apd_str(good[i]), &network) != 0)
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < APD_COUNT(bad); i++)
		if (apd_network_parse(apd_str(bad[i]), &network) == 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(apd_network_parse((struct apd_str){"10.0.0.0\0/8", 11}, &network), -22);
}

/* Checks what a rule with one network says of an address. */
static void check_network(const char *text, const char *address_text, bool allowed)
{
	struct apd_network network;
	struct apd_address_rules rules = {false, &network, 1};
	union address address;
	socklen_t len = address_of(address_text, &address);

	assert_int_equal(apd_network_parse(apd_str(text), &network), 0);
	if (apd_address_allowed(&rules, &address.any, len) != allowed)
		fail_msg("%s with %s allowed", address_text, text);
}

static void networks_allow_what_is_in_them(void **state)
{
	(void)state;
	check_network("10.0.0.0/8", "10.255.0.1", true);
	check_network("10.0.0.0/8", "11.0.0.1", true); /* public anyway */
	check_network("10.0.0.0/8", "127.0.0.1", false);
	check_network("10.128.0.0/9", "10.127.255.255", false);
	check_network("10.128.0.0/9", "10.128.0.0", true);
	check_network("127.0.0.2", "127.0.0.2", true);
	check_network("127.0.0.2", "127.0.0.1", false);
	check_network("127.0.0.0/8", "::ffff:127.0.0.1", true);
	check_network("127.0.0.0/8", "::127.0.0.1", false);
	check_network("127.0.0.0/8", "::1", false);
	check_network("127.0.0.0/8", "2002:7f00:1::1", false);
	check_network("::1", "::1", true);
	check_network("::1", "127.0.0.1", false);
	check_network("fd12::/16", "fd12:3456::1", true);
	check_network("fd12::/16", "fd13::1", false);
	check_network("0.0.0.0/0", "224.0.0.1", true);
	check_network("0.0.0.0/0", "::1", false);
}

static void addresses_have_a_text(void **state)
{
	struct apd_buf out = {0};
	union address address;
	socklen_t len = address_of("2001:0db8::0001", &address);

	(void)state;
	apd_address_add_text(&out, &address.any, len);
	assert_string_equal(out.data, "2001:db8::1");
	apd_buf_finish(&out);
	address.any.sa_family = AF_UNIX;
	apd_address_add_text(&out, &address.any, len);
	assert_string_equal(out.data, "an address of no known kind");
	apd_buf_finish(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),
		cmocka_unit_test(only_public_ones_are_allowed),
		cmocka_unit_test(other_families_are_refused),
		cmocka_unit_test(networks_are_read),
		cmocka_unit_test(networks_allow_what_is_in_them),
		cmocka_unit_test(addresses_have_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

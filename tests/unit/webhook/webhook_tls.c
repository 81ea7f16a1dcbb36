/* Deliveries over TLS: certificates are checked, and a connection is used again. */
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "lab.h"

/* A server with a certificate of its own for 127.0.0.1, one connection at a time. */
struct server {
	int fd, wake_fd;
	uint16_t port;
	pthread_t thread;
	_Atomic unsigned handshakes, requests;
	gnutls_certificate_credentials_t credentials;
	char ca_file[40];
};

static void check(int r)
{
	if (r < 0)
		fail_msg("%s", gnutls_strerror(r));
}

/* Fills in a certificate that signs itself. */
static void fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	struct in_addr address = {htonl(INADDR_LOOPBACK)};
	const unsigned char serial = 1;

	check(gnutls_x509_crt_set_version(crt, 3));
	check(gnutls_x509_crt_set_serial(crt, &serial, 1));
	check(gnutls_x509_crt_set_activation_time(crt, time(NULL) - 3600));
	check(gnutls_x509_crt_set_expiration_time(crt, time(NULL) + 3600));
	check(gnutls_x509_crt_set_dn(crt, "CN=a receiver", NULL));
	check(gnutls_x509_crt_set_basic_constraints(crt, 1, -1));
	check(gnutls_x509_crt_set_subject_alt_name(
		crt, GNUTLS_SAN_IPADDRESS, &address, sizeof(address), GNUTLS_FSAN_SET));
	check(gnutls_x509_crt_set_key(crt, key));
	check(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0));
}

/* Makes the certificate, for the server and for the file that says to trust it. */
static void make_certificate(struct server *server)
{
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t pem;
	int fd;

	check(gnutls_x509_privkey_init(&key));
	check(gnutls_x509_privkey_generate(
		key, GNUTLS_PK_EC, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0));
	check(gnutls_x509_crt_init(&crt));
	fill(crt, key);
	check(gnutls_certificate_allocate_credentials(&server->credentials));
	check(gnutls_certificate_set_x509_key(server->credentials, &crt, 1, key));
	check(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
	strcpy(server->ca_file, "/tmp/apd-ca-XXXXXX");
	fd = mkstemp(server->ca_file);
	assert_int_equal(write(fd, pem.data, pem.size), pem.size);
	close(fd);
	gnutls_free(pem.data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}

/* Answers requests with 200 until the connection ends. */
static void serve_connection(struct server *server, int fd)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	gnutls_session_t session;
	char in[8192];
	int r;

	gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL);
	gnutls_set_default_priority(session);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, server->credentials);
	gnutls_transport_set_int(session, fd);
	do
		r = gnutls_handshake(session);
	while (r < 0 && !gnutls_error_is_fatal(r));
	if (r == 0)
		atomic_fetch_add(&server->handshakes, 1);
	while (r >= 0) {
		ssize_t n = gnutls_record_recv(session, in, sizeof(in) - 1);

		if (n == 0 || (n < 0 && gnutls_error_is_fatal((int)n)))
			break;
		if (n < 0)
			continue;
		in[n] = '\0';
		/* The bodies of these tests are "{}". */
		if (!strstr(in, "{}"))
			continue;
		atomic_fetch_add(&server->requests, 1);
		gnutls_record_send(session, answer, sizeof(answer) - 1);
	}
	gnutls_deinit(session);
	close(fd);
}

static void *serve(void *data)
{
	struct server *server = data;
	struct pollfd fds[2] = {{server->fd, POLLIN, 0}, {server->wake_fd, POLLIN, 0}};

	for (;;) {
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[1].revents)
			return NULL;
		serve_connection(server, accept4(server->fd, NULL, NULL, SOCK_CLOEXEC));
	}
}

static void server_init(struct server *server)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(in);

	*server = (struct server){0};
	make_certificate(server);
	server->wake_fd = eventfd(0, EFD_CLOEXEC);
	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(server->fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(listen(server->fd, 16), 0);
	assert_int_equal(getsockname(server->fd, (struct sockaddr *)&in, &len), 0);
	server->port = ntohs(in.sin_port);
	assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

/* All connections must be closed. */
static void server_finish(struct server *server)
{
	uint64_t one = 1;

	assert_int_equal(write(server->wake_fd, &one, sizeof(one)), sizeof(one));
	pthread_join(server->thread, NULL);
	gnutls_certificate_free_credentials(server->credentials);
	unlink(server->ca_file);
	close(server->fd);
	close(server->wake_fd);
}

static void put(struct lab *lab, const char *host, uint16_t port)
{
	char url[100];

	snprintf(url, sizeof(url), "https://%s:%u/ok", host, port);
	lab_put(lab, url, "{}");
}

static void trusted_receivers_get_all_over_one_connection(void **state)
{
	struct lab *lab = *state;
	struct server server;

	server_init(&server);
	lab->config.ca_file = server.ca_file;
	lab_start(lab);
	for (int i = 0; i < 5; i++) {
		put(lab, "127.0.0.1", server.port);
		lab_until_rows(lab, 0);
	}
	assert_int_equal(lab_stats(lab).delivered, 5);
	assert_int_equal(atomic_load(&server.handshakes), 1);
	assert_int_equal(atomic_load(&server.requests), 5);
	lab_stop(lab);
	server_finish(&server);
}

/* Puts a row that must fail and is given up for it; returns the log. */
static char *failed(struct lab *lab, const char *host, uint16_t port)
{
	lab->config.give_up_ns = 0;
	lab_start(lab);
	lab_log_begin();
	put(lab, host, port);
	lab_until_rows(lab, 0);
	assert_int_equal(lab_stats(lab).given_up, 1);
	lab_stop(lab);
	return lab_log_end();
}

static void unknown_certificates_are_refused(void **state)
{
	struct server server;
	char *log;

	server_init(&server);
	log = failed(*state, "127.0.0.1", server.port);
	assert_non_null(strstr(log, "certificate"));
	assert_int_equal(atomic_load(&server.requests), 0);
	free(log);
	server_finish(&server);
}

static void certificates_of_others_are_refused(void **state)
{
	struct lab *lab = *state;
	struct server server;
	char *log;

	server_init(&server);
	lab->config.ca_file = server.ca_file;
	log = failed(lab, "localhost", server.port);
	assert_non_null(strstr(log, "certificate"));
	assert_int_equal(atomic_load(&server.requests), 0);
	free(log);
	server_finish(&server);
}

static void plain_http_is_no_tls(void **state)
{
	struct lab *lab = *state;

	lab->config.timeout_ns = 300 * APD_NS_PER_MS; /* the receiver waits for a request's end */
	free(failed(lab, "127.0.0.1", receiver_port(lab->receiver)));
	assert_int_equal(receiver_count(lab->receiver, "/ok"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, lab_setup, lab_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(trusted_receivers_get_all_over_one_connection),
		TEST(unknown_certificates_are_refused),
		TEST(certificates_of_others_are_refused),
		TEST(plain_http_is_no_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/testing.h - what the unit tests of this folder share: the process without its main, and a resolver that
 * says what a table says.
 */
#ifndef SMTP_CLIENT_TESTING_H
#define SMTP_CLIENT_TESTING_H

#include <arpa/inet.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/mem.h"
#include "daemon/testing.h"
#include "smtp-client/client.h"

struct zone { const char *name, *data; enum dns_type type; enum dns_result result; bool insecure; const char *expanded; };
				/* data: "10 mx.example" for MX, "3 1 1 0123..." for TLSA (each number a digit), a name for
				 * CNAME, an address for A and AAAA; several rows a name; expanded: its name behind CNAMEs;
				 * what is not there has no data. DNS_FOUND with data NULL: no answer at all */

struct fixture {
	struct daemon	 daemon;
	struct hidden	 hidden;
	struct smtp_client_settings settings;
	struct client	 client;
	struct channel	*resolver, *fetch;	/* their own ends */
	const struct zone *zone;
	size_t		 nzone;
	unsigned	 questions;
	bool		 insecure;	/* what is not in the zone: that it is not there is not proven */
	struct ipc_sts_answer policy;	/* of all domains */
	unsigned	 policies;	/* that were asked for */
	struct ipc_tls_seen seen;	/* the last; what it borrows is gone */
	unsigned	 nseen;
};

static inline void
zone_rdata(const struct zone *z, struct buf *out)
{
	unsigned char octets[16];
	struct bytes rest = text(z->data), first;
	uint64_t preference;

	buf_clear(out);
	if (z->type == DNS_MX) {
		first = bytes_cut(&rest, ' ');
		assert_true(bytes_u64(first, 65535, &preference));
		buf_u8(out, (uint8_t)(preference >> 8));
		buf_u8(out, (uint8_t)preference);
		assert_true(dns_name_encode(rest, out));
	} else if (z->type == DNS_TLSA) {
		for (size_t i = 0; i < 5; i += 2)
			buf_u8(out, (uint8_t)(z->data[i] - '0'));
		assert_true(hex_decode(text(z->data + 6), out));
	} else if (z->type == DNS_CNAME) {
		assert_true(dns_name_encode(rest, out));
	} else {
		assert_int_equal(inet_pton(z->type == DNS_A ? AF_INET : AF_INET6, z->data, octets), 1);
		buf_add(out, bytes_of(octets, z->type == DNS_A ? 4 : 16));
	}
}

static inline bool
zone_answer(void *arg, struct channel *c, struct ipc_in *in)
{
	struct fixture *f = arg;
	uint32_t id = in->id;
	struct ipc_dns_ask ask;
	struct ipc_dns_answer m = { .result = DNS_NO_DATA, .secure = !f->insecure, .ttl = 60 };
	struct buf records, rdata;
	struct ipc_out out;

	if (in->type != IPC_dns_ask || !ipc_get_dns_ask(in, &ask))
		return false;
	f->questions++;
	m.name = ask.name;
	buf_init(&records, 49152);
	buf_init(&rdata, 1000);
	for (size_t i = 0; i < f->nzone; i++) {
		const struct zone *z = &f->zone[i];

		if (z->type != (enum dns_type)ask.type || !bytes_case_eq(text(z->name), ask.name))
			continue;
		if (z->result == DNS_FOUND && !z->data)
			goto out;
		m.result = z->result;
		m.secure = !z->insecure;
		if (z->expanded)
			m.name = text(z->expanded);
		m.why = text(z->result == DNS_FAILED || z->result == DNS_BOGUS ? "SERVFAIL" : "");
		if (z->data) {
			zone_rdata(z, &rdata);
			ipc_add_text(&records, buf_bytes(&rdata));
		}
	}
	m.records = buf_bytes(&records);
	ipc_out_init(&out);
	ipc_put_dns_answer(&out, id, &m);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
out:
	buf_fini(&records);
	buf_fini(&rdata);
	return true;
}

static inline bool
policy_answer(void *arg, struct channel *c, struct ipc_in *in)
{
	struct fixture *f = arg;
	uint32_t id = in->id;
	struct ipc_sts_ask ask;
	struct ipc_out out;

	if (in->type == IPC_tls_seen && ipc_get_tls_seen(in, &f->seen)) {
		f->nseen++;
		return true;
	}
	if (in->type != IPC_sts_ask || !ipc_get_sts_ask(in, &ask))
		return false;
	f->policies++;
	ipc_out_init(&out);
	ipc_put_sts_answer(&out, id, &f->policy);
	channel_reply(c, id, &out);
	ipc_out_fini(&out);
	return true;
}

static inline void
fixture_init(struct fixture *f)
{
	*f = (struct fixture){ 0 };
	settings_standard(smtp_client_settings, &f->settings);
	f->daemon.hidden = &f->hidden;
	loop_init(&f->daemon.loop);
	f->resolver = neighbour_of(&f->daemon, "resolver", zone_answer, f);
	f->fetch = neighbour_of(&f->daemon, "fetch", policy_answer, f);
	f->client = (struct client){ .daemon = &f->daemon, .settings = &f->settings };
}

static inline void
fixture_serve(struct fixture *f)
{
	client_init(&f->client);
	client_serve(&f->client);
}

static inline void
fixture_set(struct fixture *f, const char *name, const char *value)
{
	char why[256];

	if (!settings_set(smtp_client_settings, name, value, &f->settings, why, sizeof why))
		fail_msg("%s: %s", name, why);
}

static inline void
fixture_fini(struct fixture *f)
{
	client_fini(&f->client);
	channel_close(&f->resolver);
	channel_close(&f->fetch);
	peers_free(&f->daemon.peers[0]);
	peers_free(&f->daemon.peers[1]);
	loop_fini(&f->daemon.loop);
	settings_free(smtp_client_settings, &f->settings);
}

static inline void
fixture_turn(struct fixture *f, uint64_t until, int line)
{
	event_base_loop(f->daemon.loop.base, EVLOOP_NONBLOCK);
	assert_row_int("line", clock_mono_ms() < until ? 0 : line, 0);
	usleep(500);
}

/* Lets the loop turn, after what stands behind it, until cond; fails after ten seconds. */
#define UNTIL(f, cond)									\
	do {										\
		uint64_t until_ = clock_mono_ms() + 10000;				\
											\
		while (!(cond))								\
			fixture_turn((f), until_, __LINE__);				\
	} while (0)

#endif

/* SPDX-License-Identifier: ISC */
#include "smtp-client/testing.h"

#define MX(name, data)		{ name, data, DNS_MX, DNS_FOUND, false, NULL }
#define A(name, data)		{ name, data, DNS_A, DNS_FOUND, false, NULL }
#define AAAA(name, data)	{ name, data, DNS_AAAA, DNS_FOUND, false, NULL }
#define NO(name, type, result)	{ name, NULL, DNS_##type, result, false, NULL }

static const struct zone zone[] = {
	MX("plain.test", "20 mx2.plain.test"), MX("plain.test", "10 mx1.plain.test"),
	A("mx1.plain.test", "192.0.2.1"), A("mx2.plain.test", "192.0.2.2"),
	A("nomx.test", "192.0.2.3"),
	MX("null.test", "0 ."),
	MX("nullish.test", "0 ."), MX("nullish.test", "10 mx1.plain.test"),
	NO("gone.test", MX, DNS_NO_NAME),
	NO("broken.test", MX, DNS_FAILED), A("broken.test", "192.0.2.4"),
	NO("bogus.test", MX, DNS_BOGUS), A("bogus.test", "192.0.2.4"),
	MX("half.test", "10 lame.test"), MX("half.test", "20 mx2.plain.test"),
	NO("lame.test", A, DNS_FAILED), NO("lame.test", AAAA, DNS_FAILED),
	MX("lamest.test", "10 lame.test"),
	MX("nowhere.test", "10 none.test"),
	MX("ours.test", "10 mx.here.test"), A("mx.here.test", "192.0.2.9"),
	MX("backup.test", "30 mx2.plain.test"), MX("backup.test", "20 MX.here.test"), MX("backup.test", "10 mx1.plain.test"),
	MX("oursbyaddress.test", "10 other.test"), A("other.test", "198.51.100.7"),
	MX("loopback.test", "10 localhost.test"), A("localhost.test", "127.0.0.3"),
	MX("zero.test", "10 zero.test"), A("zero.test", "0.0.0.0"), AAAA("zero.test", "::ffff:127.0.0.1"),
	MX("mixed.test", "10 localhost.test"), MX("mixed.test", "20 mx2.plain.test"),
	{ "unproved.test", "10 mx1.plain.test", DNS_MX, DNS_FOUND, true, NULL },
	MX("unproved2.test", "10 unproved-mx.test"), { "unproved-mx.test", "192.0.2.8", DNS_A, DNS_FOUND, true, NULL },
	A("relay.test", "192.0.2.5"),
	A("both.test", "192.0.2.6"), AAAA("both.test", "2001:db8::6"), AAAA("six.test", "2001:db8::6"),
	NO("gonehost.test", A, DNS_NO_NAME), NO("gonehost.test", AAAA, DNS_NO_NAME),
	MX("slow.test", "10 mx1.plain.test"), MX("slow.test", "20 silent.test"),
	NO("silent.test", A, DNS_FOUND), NO("silent.test", AAAA, DNS_FOUND),
	MX("silence.test", "20 silent.test"),
};

#define NONE	TRY_LATER
static const struct {
	const char *nexthop, *places;	/* "host address:port ..." in order */
	bool all;
	enum outcome outcome;
	const char *status;
	enum relay_contact contact;
	bool secure;
} cases[] = {
	{ "plain.test", "mx1.plain.test [192.0.2.1]:25 mx2.plain.test [192.0.2.2]:25 ", true, NONE, "", CONTACT_NONE, true },
	{ "plain.test:2525", "mx1.plain.test [192.0.2.1]:2525 mx2.plain.test [192.0.2.2]:2525 ", true, NONE, "", CONTACT_NONE, true },
	/* RFC 5321 section 5.1: the implicit MX, where there is none, and only there */
	{ "nomx.test", "nomx.test [192.0.2.3]:25 ", true, NONE, "", CONTACT_NONE, true },
	{ "broken.test", "", false, TRY_LATER, "4.4.3", CONTACT_FAILED, false },
	{ "bogus.test", "", false, TRY_LATER, "4.4.3", CONTACT_FAILED, false },
	{ "nothing.test", "", true, BOUNCE, "5.1.2", CONTACT_NONE, false },
	{ "gone.test", "", false, BOUNCE, "5.1.2", CONTACT_NONE, false },
	/* RFC 7505 */
	{ "null.test", "", false, BOUNCE, "5.1.10", CONTACT_NONE, false },
	{ "nullish.test", "mx1.plain.test [192.0.2.1]:25 ", true, NONE, "", CONTACT_NONE, true },
	/* Not all is known: a refusal of those that are is not final. */
	{ "half.test", "mx2.plain.test [192.0.2.2]:25 ", false, NONE, "", CONTACT_NONE, true },
	{ "lamest.test", "", false, TRY_LATER, "4.4.3", CONTACT_FAILED, false },
	{ "nowhere.test", "", true, BOUNCE, "5.4.4", CONTACT_NONE, false },
	/* This host, by its name and by an address */
	{ "ours.test", "", false, BOUNCE, "5.4.6", CONTACT_NONE, false },
	{ "backup.test", "mx1.plain.test [192.0.2.1]:25 ", true, NONE, "", CONTACT_NONE, true },
	{ "oursbyaddress.test", "", false, BOUNCE, "5.4.6", CONTACT_NONE, false },
	{ "oursbyaddress.test:26", "other.test [198.51.100.7]:26 ", true, NONE, "", CONTACT_NONE, true },
	/* Addresses that are nobody's */
	{ "loopback.test", "", false, BOUNCE, "5.4.6", CONTACT_NONE, false },
	{ "zero.test", "", false, BOUNCE, "5.4.6", CONTACT_NONE, false },
	{ "mixed.test", "mx2.plain.test [192.0.2.2]:25 ", true, NONE, "", CONTACT_NONE, true },
	{ "[127.0.0.3]:2525", "[127.0.0.3]:2525 ", true, NONE, "", CONTACT_NONE, true },
	{ "[localhost.test]:2525", "localhost.test [127.0.0.3]:2525 ", true, NONE, "", CONTACT_NONE, true },
	{ "[127.0.0.1]:25", "", false, BOUNCE, "5.4.6", CONTACT_NONE, false },
	{ "[192.0.2.77]", "[192.0.2.77]:25 ", true, NONE, "", CONTACT_NONE, true },
	/* DNSSEC, of the MX and of the address */
	{ "unproved.test", "mx1.plain.test [192.0.2.1]:25 ", true, NONE, "", CONTACT_NONE, false },
	{ "unproved2.test", "unproved-mx.test [192.0.2.8]:25 ", true, NONE, "", CONTACT_NONE, true },
	/* A host that was configured: nobody's mail is sent back for a slip there. */
	{ "[relay.test]", "relay.test [192.0.2.5]:25 ", true, NONE, "", CONTACT_NONE, true },
	{ "[gonehost.test]", "", true, TRY_LATER, "4.3.5", CONTACT_FAILED, false },
	/* A family that the route names no address of to come from */
	{ "plain.test;from=192.0.2.99", "mx1.plain.test [192.0.2.1]:25 mx2.plain.test [192.0.2.2]:25 ", true, NONE, "", CONTACT_NONE, true },
	{ "plain.test;from=2001:db8::99", "", true, TRY_LATER, "4.3.5", CONTACT_NONE, false },
	{ "[both.test];from=192.0.2.99", "both.test [192.0.2.6]:25 ", true, NONE, "", CONTACT_NONE, true },
	{ "[six.test];from=192.0.2.99", "", true, TRY_LATER, "4.3.5", CONTACT_NONE, false },
	{ "nowhere.test;from=192.0.2.99", "", true, BOUNCE, "5.4.4", CONTACT_NONE, false },
	{ "lamest.test;from=192.0.2.99", "", false, TRY_LATER, "4.4.3", CONTACT_FAILED, false },
	{ "[192.0.2.77];from=192.0.2.99", "[192.0.2.77]:25 ", true, NONE, "", CONTACT_NONE, true },
	/* Silence of one costs two seconds, of all the timeout. */
	{ "slow.test", "mx1.plain.test [192.0.2.1]:25 ", false, NONE, "", CONTACT_NONE, true },
	{ "silence.test", "", false, TRY_LATER, "4.4.3", CONTACT_FAILED, false },
};

static void
done(void *arg)
{
	*(bool *)arg = true;
}

static struct target *
find(struct fixture *f, const char *nexthop, bool lmtp)
{
	struct arena *arena = arena_new(1 << 16);
	struct nexthop n;
	struct target *t;
	bool found = false;

	assert_true(nexthop_parse(text(nexthop), arena, &n));
	t = target_new(&f->client, &n, lmtp, false, done, &found);
	assert_false(found);			/* never from within */
	arena_free(&arena);
	UNTIL(f, found)
		;
	return t;
}

static void
places(const struct target *t, struct buf *out)
{
	char place[CANDIDATE_TEXT_MAX];

	buf_clear(out);
	for (size_t i = 0; i < t->nplaces; i++)
		buf_fmt(out, "%s ", candidate_text(&t->places[i], place));
}

static void
begin(struct fixture *f)
{
	fixture_init(f);
	f->zone = zone;
	f->nzone = LEN(zone);
	fixture_set(f, "hostname", "mx.here.test");
	fixture_set(f, "listen_smtp", "127.0.0.1:25\n");
	fixture_set(f, "local_addresses", "127.0.0.1\n198.51.100.0/24\n");
	fixture_set(f, "smtp_dns_timeout", "3s");
	fixture_serve(f);
}

static void
test_cases(void **state)
{
	struct fixture f;
	struct buf got;

	(void)state;
	begin(&f);
	buf_init(&got, 10000);
	for (size_t i = 0; i < LEN(cases); i++) {
		const char *row = cases[i].nexthop;
		struct target *t = find(&f, row, false);

		places(t, &got);
		assert_row_bytes(row, buf_bytes(&got), text(cases[i].places));
		assert_row_int(row, t->nplaces > 0 ? t->all : cases[i].all, cases[i].all);
		if (t->nplaces == 0) {
			assert_row_int(row, t->outcome, cases[i].outcome);
			assert_row_bytes(row, t->status, text(cases[i].status));
			assert_row_int(row, t->contact, cases[i].contact);
			assert_true(t->reply.n > 10);
		} else {
			assert_row_int(row, t->domain_secure, cases[i].secure);
			assert_row_int(row, t->nhosts == 0 || t->hosts[0].nv4 == 0 || t->hosts[0].secure,
			    strcmp(row, "unproved2.test") != 0);
		}
		target_free(&t);
	}
	buf_fini(&got);
	fixture_fini(&f);
}

/* LMTP asks for no MX; a UNIX socket is one of those that were configured. */
static void
test_lmtp(void **state)
{
	struct fixture f;
	struct target *t;
	struct buf got;

	(void)state;
	begin(&f);
	fixture_set(&f, "lmtp_sockets", "/run/a\n/run/b\n");
	buf_init(&got, 10000);
	t = find(&f, "plain.test", true);
	assert_int_equal(t->nplaces, 0);
	target_free(&t);
	t = find(&f, "nomx.test", true);
	places(t, &got);
	assert_bytes_equal(buf_bytes(&got), text("nomx.test [192.0.2.3]:24 "));
	target_free(&t);
	t = find(&f, "unix:/run/b", true);
	assert_int_equal(t->nplaces, 1);
	assert_string_equal(t->places[0].socket, "/run/b");
	target_free(&t);
	t = find(&f, "unix:/run/c", true);
	assert_int_equal(t->nplaces, 0);
	assert_int_equal(t->outcome, TRY_LATER);
	assert_bytes_equal(t->status, text("4.3.5"));
	target_free(&t);
	buf_fini(&got);
	fixture_fini(&f);
}

static void
test_allow_loopback(void **state)
{
	struct fixture f;
	struct target *t;

	(void)state;
	begin(&f);
	fixture_set(&f, "smtp_allow_loopback", "yes");
	t = find(&f, "loopback.test", false);
	assert_int_equal(t->nplaces, 1);
	target_free(&t);
	t = find(&f, "zero.test:26", false);	/* 0.0.0.0 not even then */
	assert_int_equal(t->nplaces, 1);
	assert_true(address_is_loopback(&t->places[0].address));
	target_free(&t);
	fixture_fini(&f);
}

/* By this host's settings, and whoever named the address: it is put off, and the setting is named. */
static void
test_networks(void **state)
{
	static const struct { const char *nexthop; size_t places; } rows[] = {
		{ "[127.0.0.1]:2525", 1 }, { "[192.0.2.77]", 0 }, { "[2001:db8::7]", 0 },
	};
	struct fixture f;
	struct target *t;

	(void)state;
	begin(&f);
	fixture_set(&f, "smtp_networks", "127.0.0.0/8\n::1/128\n");
	self_free(&f.client.self);
	f.client.self = self_new(&f.settings);
	for (size_t i = 0; i < LEN(rows); i++) {
		t = find(&f, rows[i].nexthop, false);
		assert_int_equal(t->nplaces, rows[i].places);
		if (rows[i].places == 0) {
			assert_int_equal(t->outcome, TRY_LATER);
			assert_bytes_equal(t->status, text("4.4.1"));
		}
		target_free(&t);
	}
	fixture_fini(&f);
}

/* A domain may name as many exchangers and addresses as it likes: so many are asked for and tried. */
static void
test_limits(void **state)
{
	enum { MANY = 40 };
	static struct zone many[2 * MANY];
	static char text_of[2 * MANY][2][40];
	struct fixture f;
	struct target *t;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(text_of[i][0], 40, "%d mx%d.many.test", 100 - i, i);
		many[i] = (struct zone)MX("many.test", text_of[i][0]);
		snprintf(text_of[i][1], 40, "mx%d.many.test", i);
		snprintf(text_of[MANY + i][0], 40, "192.0.2.%d", i + 1);
		many[MANY + i] = (struct zone)A(text_of[i][1], text_of[MANY + i][0]);
	}
	begin(&f);
	f.zone = many;
	f.nzone = LEN(many);
	t = find(&f, "many.test", false);
	assert_int_equal(f.questions, 1 + 2 * CANDIDATE_HOSTS);
	assert_int_equal(t->nplaces, 6);
	assert_int_equal(t->places[0].preference, 100 - MANY + 1);	/* the best are among them */
	assert_false(t->all);
	target_free(&t);
	fixture_fini(&f);
}

/* Its owner goes away while DNS is asked, and when the answer is there already. */
static void
test_cancel(void **state)
{
	struct fixture f;
	struct nexthop n = { .kind = NEXTHOP_DOMAIN, .name = text("plain.test") };
	bool found = false;

	(void)state;
	begin(&f);
	for (unsigned questions = 0; questions < 7; questions++) {
		struct target *t = target_new(&f.client, &n, false, false, done, &found);

		f.questions = 0;
		UNTIL(&f, found || f.questions >= questions)
			;
		target_free(&t);
		for (int i = 0; i < 5; i++)
			event_base_loop(f.daemon.loop.base, EVLOOP_NONBLOCK);
	}
	fixture_fini(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_lmtp),
		cmocka_unit_test(test_allow_loopback),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

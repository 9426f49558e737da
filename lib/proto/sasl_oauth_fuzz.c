/* SPDX-License-Identifier: ISC */
/* The input is a client's message; and three texts, each to the next LF, and an error of a server. */
#include "base/mem.h"
#include "proto/sasl_oauth.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
check(bool made, const struct buf *b, size_t separators)
{
	size_t found = 0;

	for (size_t i = 0; i < b->n; i++)
		found += b->p[i] == 1;
	must(made ? found == separators : b->n == 0);
}

static void
said(struct bytes message, bool (*parse)(struct bytes, struct sasl_oauth_said *, struct buf *))
{
	struct sasl_oauth_said s;
	struct buf user;

	buf_init(&user, SASL_OAUTH_USER_MAX);
	if (parse(message, &s, &user)) {
		must(message.n <= SASL_OAUTH_MAX && !bytes_has_control(buf_bytes(&user)));
		must(s.token.n == 0 || sasl_oauth_token_fits(s.token));
		must(s.host.n == 0 || (s.host.p > message.p && s.host.p + s.host.n < message.p + message.n));
	}
	buf_fini(&user);
}

/* What is made can be read. */
static void
round_trip(struct bytes user, struct bytes token, struct bytes message, bool (*parse)(struct bytes, struct sasl_oauth_said *, struct buf *))
{
	struct sasl_oauth_said s;
	struct buf b;

	buf_init(&b, SASL_OAUTH_USER_MAX);
	must(parse(message, &s, &b) && bytes_eq(buf_bytes(&b), user) && bytes_eq(s.token, token));
	buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n), user = bytes_cut(&rest, '\n'), host = bytes_cut(&rest, '\n'),
	    token = bytes_cut(&rest, '\n'), status = sasl_oauth_status(rest);
	struct buf b;

	said(bytes_of(p, n), sasl_oauthbearer_parse);
	said(bytes_of(p, n), sasl_xoauth2_parse);
	must(status.n <= 64 && (status.n == 0 || (status.p >= rest.p && status.p + status.n <= rest.p + rest.n)));
	buf_init(&b, SASL_OAUTH_MAX);
	check(sasl_oauthbearer(user, host, (uint16_t)n, token, &b), &b, 3 + (host.n > 0) + ((uint16_t)n > 0));
	if (b.n > 0)
		round_trip(user, token, buf_bytes(&b), sasl_oauthbearer_parse);
	buf_clear(&b);
	check(sasl_xoauth2(user, token, &b), &b, 3);
	if (b.n > 0)
		round_trip(user, token, buf_bytes(&b), sasl_xoauth2_parse);
	buf_fini(&b);
	return 0;
}

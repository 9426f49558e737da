/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/smtp_params.h"
#include "proto/utf8.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* No decoded value has anything in it that could end a record. */
static bool
clean(struct bytes s)
{
	size_t i;

	for (i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return utf8_valid(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *a = arena_new(1 << 20);
	struct smtp_mail_params mail;
	struct smtp_rcpt_params rcpt;
	struct bytes bad;

	if (smtp_mail_params(bytes_of(p, n), ~0u, a, &mail, &bad) == SMTP_PARAMS_OK)
		must(clean(mail.envid) && clean(mail.auth) && clean(mail.envid_xtext));
	if (smtp_rcpt_params(bytes_of(p, n), ~0u, n % 2, a, &rcpt, &bad) == SMTP_PARAMS_OK)
		must(clean(rcpt.orcpt) && clean(rcpt.orcpt_raw));
	arena_free(&a);
	return 0;
}

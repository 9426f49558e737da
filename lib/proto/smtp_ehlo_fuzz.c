/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/smtp_ehlo.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes rest = bytes_of(p, n), names;
	struct smtp_ehlo e;

	smtp_ehlo_init(&e);
	while (rest.n > 0)
		smtp_ehlo_line(&e, bytes_cut(&rest, '\n'));
	must(e.mail_max <= 999999 && e.rcpt_max <= 999999 && e.rcpt_domain_max <= 999999);
	must(e.size_octets == 0 || (e.extensions & SMTP_EXT_SIZE));
	for (names = smtp_ehlo_mechanisms(&e); names.n > 0;) {
		struct bytes name = bytes_cut(&names, ' ');

		must(name.n > 0 && name.n <= SMTP_MECHANISM_MAX);
		for (size_t i = 0; i < name.n; i++)
			must(ascii_alnum(name.p[i]) || name.p[i] == '-' || name.p[i] == '_');
	}
	return 0;
}

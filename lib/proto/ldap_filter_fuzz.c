/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "proto/ldap_filter.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Whatever name is put into a template that is one, what comes has the template's parentheses and stars, and no octet that
 * is not printable. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char words[] = "(&(objectClass=person)(|(mail=%s)(uid=%s)))";
	struct bytes name = bytes_of(p, n < 320 ? n : 320);
	unsigned opened = 0, closed = 0;
	struct buf out;

	(void)ldap_filter_is_template(bytes_of(p, n));
	buf_init(&out, sizeof words + 2 * 3 * 320);
	must(ldap_filter_make(text(words), name, &out) && !bytes_has_control(buf_bytes(&out)) && bytes_is_ascii(buf_bytes(&out)));
	for (size_t i = 0; i < out.n; i++) {
		opened += out.p[i] == '(';
		closed += out.p[i] == ')';
		must(out.p[i] != '*');
	}
	must(opened == 5 && closed == 5);
	buf_fini(&out);
	return 0;
}

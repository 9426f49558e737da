/* SPDX-License-Identifier: ISC */
#include "proto/idna.h"

#include <idn2.h>

#include "proto/smtp_address.h"
#include "proto/utf8.h"

#define LABEL_MAX 63
#define INPUT_MAX 1024		/* octets of UTF-8: more than any that fits becomes A-labels */

static bool
is_fit(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of letters, digits, hyphens and underscores, none empty or too long. So is what libidn2 makes, which is not asked to
 * keep STD3's rules: it would do so by leaving characters out, and one domain would become another. */
static bool
is_name(struct bytes s)
{
	size_t label = 0;

	if (s.n == 0 || s.n > IDNA_DOMAIN_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' ? label == 0 : !is_fit(s.p[i]))
			return false;
		label = s.p[i] == '.' ? 0 : label + 1;
		if (label > LABEL_MAX)
			return false;
	}
	return label > 0;
}

bool
idna_ascii(struct bytes domain, struct arena *a, struct bytes *out)
{
	char in[INPUT_MAX + 1], *made = NULL;
	bool good;

	if (bytes_is_ascii(domain)) {
		if (!is_name(domain))
			return false;
		*out = smtp_lower(domain, a);
		return true;
	}
	if (!utf8_valid(domain) || !bytes_to_text(domain, in, sizeof in)
	    || idn2_to_ascii_8z(in, &made, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) != IDN2_OK)
		return false;
	good = bytes_is_ascii(text(made)) && is_name(text(made));
	if (good)
		*out = smtp_lower(text(made), a);
	idn2_free(made);
	return good;
}

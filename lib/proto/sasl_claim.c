/* SPDX-License-Identifier: ISC */
#include "proto/sasl_claim.h"

#define CRAM_MD5_DIGEST	32		/* hexadecimal digits */

/* RFC 5801 section 4: gs2-cbind-flag, and the comma. */
static bool
take_flag(struct bytes *rest, struct scram_claim *out)
{
	struct bytes flag = bytes_cut(rest, ',');

	out->binding = text(NULL);
	if (bytes_eq(flag, text("n")) || bytes_eq(flag, text("y"))) {
		out->binds = (enum scram_binds)flag.p[0];
		return true;
	}
	out->binds = SCRAM_BINDS;
	out->binding = bytes_skip(flag, 2);
	return bytes_starts(flag, text("p=")) && out->binding.n > 0;
}

/* saslname: "=2C" is a comma, "=3D" an equals sign, and neither stands for itself. */
bool
sasl_name_decode(struct bytes s, struct buf *out)
{
	while (s.n > 0) {
		size_t n = bytes_find(s, '=');

		buf_add(out, bytes_head(s, n));
		s = bytes_skip(s, n);
		if (s.n == 0)
			break;
		if (!bytes_starts(s, text("=2C")) && !bytes_starts(s, text("=3D")))
			return false;
		buf_char(out, s.p[1] == '2' ? ',' : '=');
		s = bytes_skip(s, 3);
	}
	return out->n > 0 && !out->full;
}

bool
scram_claim(struct bytes message, struct scram_claim *out, struct buf *user, struct buf *wanted)
{
	struct bytes rest = message, other, name;

	buf_clear(user);
	buf_clear(wanted);
	if (bytes_find(message, '\0') < message.n || !take_flag(&rest, out))
		return false;
	other = bytes_cut(&rest, ',');
	if (other.n > 0 && !bytes_starts(other, text("a=")))
		return false;
	if (other.n > 2 && !sasl_name_decode(bytes_skip(other, 2), wanted))
		return false;
	name = bytes_cut(&rest, ',');
	return bytes_starts(name, text("n=")) && bytes_starts(rest, text("r=")) && sasl_name_decode(bytes_skip(name, 2), user);
}

bool
cram_md5_claim(struct bytes message, struct buf *user)
{
	buf_clear(user);
	if (message.n < CRAM_MD5_DIGEST + 2 || message.p[message.n - CRAM_MD5_DIGEST - 1] != ' '
	    || bytes_find(message, '\0') < message.n)
		return false;
	buf_add(user, bytes_head(message, message.n - CRAM_MD5_DIGEST - 1));
	return !user->full;
}

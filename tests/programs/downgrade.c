/* SPDX-License-Identifier: ISC */
/*
 * downgrade - for tests of mail/downgrade: the message on standard input as it would be sent to a server without 8BITMIME
 * (argument 8bit), BINARYMIME (lines), or both (both). Exit status 0: here it is; 1: it cannot be, and why.
 */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "mail/downgrade.h"

static bool
convert(unsigned what, struct bytes in, struct buf *out)
{
	struct downgrade *d = downgrade_new(what);
	const char *status, *why;
	bool good = true;

	downgrade_look(d, in);
	switch (downgrade_looked(d, &status, &why)) {
	case DOWNGRADE_NEEDLESS:
		buf_add(out, in);
		break;
	case DOWNGRADE_POSSIBLE:
		good = downgrade_write(d, in, out) && downgrade_end(d, out) && !out->full;
		break;
	case DOWNGRADE_IMPOSSIBLE:
		buf_fmt(out, "%s %s\n", status, why);
		good = false;
	}
	downgrade_free(&d);
	return good;
}

int
main(int argc, char **argv)
{
	struct buf in, out;
	bool good;

	if (argc != 2)
		log_fatal("usage: downgrade 8bit|lines|both");
	buf_init(&in, 64u << 20);
	buf_init(&out, 256u << 20);
	if (!file_slurp_from(0, &in))
		log_fatal("cannot read");
	good = convert(strcmp(argv[1], "8bit") == 0 ? DOWNGRADE_8BIT : strcmp(argv[1], "lines") == 0 ? DOWNGRADE_LINES
	    : DOWNGRADE_8BIT | DOWNGRADE_LINES, buf_bytes(&in), &out);
	fwrite(out.p, 1, out.n, stdout);
	buf_fini(&in);
	buf_fini(&out);
	return good ? 0 : 1;
}

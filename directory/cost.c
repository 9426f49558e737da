/* SPDX-License-Identifier: ISC */
/*
 * directory/cost.c - what it would cost to compare a password with a hash of crypt(5). In a directory people may write their own,
 * with its cost in it: one of a billion rounds would keep auth, and with it everybody who logs in, busy for minutes. Pure.
 */
#include "directory/directory.h"

#define SHA_ROUNDS	2000000u	/* a second or two, as each of the others */
#define BCRYPT_COST	14u
#define SHA1_ROUNDS	2000000u
#define SUN_ROUNDS	1000000u

/* A number up to this sign, which is taken off with it. */
static bool
take_number(struct bytes *s, unsigned char end, uint64_t most)
{
	uint64_t n;

	return bytes_find(*s, end) < s->n && bytes_u64(bytes_cut(s, end), most, &n);
}

/* "$6$rounds=5000$salt$..."; without rounds it is 5000. */
static bool
sha(struct bytes s)
{
	if (!bytes_starts(s, text("rounds=")))
		return true;
	s = bytes_skip(s, strlen("rounds="));
	return take_number(&s, '$', SHA_ROUNDS);
}

static bool
bcrypt(struct bytes s)
{
	return take_number(&s, '$', BCRYPT_COST);
}

static bool
sha1(struct bytes s)
{
	return take_number(&s, '$', SHA1_ROUNDS);
}

/* "$md5,rounds=5000$...", "$md5$..." */
static bool
sun(struct bytes s)
{
	if (!bytes_starts(s, text(",rounds=")))
		return true;
	s = bytes_skip(s, strlen(",rounds="));
	return take_number(&s, '$', SUN_ROUNDS);
}

/* "$y$j9T$": as crypt_gensalt(3) writes it, flavour, log2 of N, and r, up to a cost of 9, which is 256 MB. */
static bool
yescrypt(struct bytes s)
{
	static const char sizes[] = "789ABCD";
	struct bytes how = bytes_cut(&s, '$');

	return how.n == 3 && how.p[0] == 'j' && how.p[1] != '\0' && strchr(sizes, how.p[1]) && (how.p[2] == '5' || how.p[2] == 'T');
}

/* "$7$CU..../....": N, r = 32, p = 1. */
static bool
scrypt(struct bytes s)
{
	static const char sizes[] = "6789ABCDE";

	return s.n > 0 && s.p[0] != '\0' && strchr(sizes, s.p[0]) && bytes_starts(bytes_skip(s, 1), text("U..../...."));
}

/* What else there is costs the same each time, or is no hash. */
static const struct scheme { const char *prefix; bool (*bearable)(struct bytes rest); } schemes[] = {
	{ "$5$", sha }, { "$6$", sha }, { "$2a$", bcrypt }, { "$2b$", bcrypt }, { "$2x$", bcrypt }, { "$2y$", bcrypt },
	{ "$sha1$", sha1 }, { "$md5", sun }, { "$y$", yescrypt }, { "$gy$", yescrypt }, { "$7$", scrypt },
};

bool
hash_is_bearable(struct bytes hash)
{
	for (size_t i = 0; i < LEN(schemes); i++)
		if (bytes_starts(hash, text(schemes[i].prefix)))
			return schemes[i].bearable(bytes_skip(hash, strlen(schemes[i].prefix)));
	return hash.n == 0 || hash.p[0] != '_';		/* BSDi's has a count, and nobody uses it */
}

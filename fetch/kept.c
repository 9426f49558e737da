/* SPDX-License-Identifier: ISC */
/*
 * fetch/kept.c - the file of one policy, doc/mta-sts-cache-format.md.
 */
#include <openssl/sha.h>

#include "base/encode.h"
#include "fetch/fetch.h"

#define FIRST "hermod mta-sts 1\n"

static void
hex_hash(struct bytes s, struct buf *out)
{
	unsigned char hash[SHA256_DIGEST_LENGTH];

	SHA256(s.p, s.n, hash);
	hex_encode(bytes_of(hash, sizeof hash), out);
}

void
kept_name(struct bytes domain, char dst[KEPT_NAME])
{
	struct buf hex;

	buf_init(&hex, KEPT_NAME);
	hex_hash(domain, &hex);
	memcpy(dst, hex.p, KEPT_NAME - 1);
	dst[KEPT_NAME - 1] = '\0';
	buf_fini(&hex);
}

void
kept_write(const struct kept *k, struct buf *out)
{
	struct buf rest;

	buf_init(&rest, KEPT_MAX);
	buf_text(&rest, "domain ");
	buf_add(&rest, k->domain);
	buf_text(&rest, "\nid ");
	buf_add(&rest, k->id);
	buf_fmt(&rest, "\nfetched %lld\nused %lld\n\n", (long long)k->fetched_s, (long long)k->used_s);
	buf_add(&rest, k->body);
	buf_text(out, FIRST "sha256 ");
	hex_hash(buf_bytes(&rest), out);
	buf_char(out, '\n');
	buf_add(out, buf_bytes(&rest));
	buf_fini(&rest);
}

static bool
is_hash_of(struct bytes hash, struct bytes s)
{
	struct buf hex;
	bool same;

	buf_init(&hex, KEPT_NAME);
	hex_hash(s, &hex);
	same = bytes_eq(hash, buf_bytes(&hex));
	buf_fini(&hex);
	return same;
}

/* "name value\n" */
static bool
cut_field(struct bytes *rest, const char *name, struct bytes *value)
{
	struct bytes line = bytes_cut(rest, '\n'), first = bytes_cut(&line, ' ');

	*value = line;
	return bytes_eq(first, text(name));
}

static bool
cut_time(struct bytes *rest, const char *name, int64_t *out)
{
	struct bytes value;
	uint64_t v;

	if (!cut_field(rest, name, &value) || !bytes_u64(value, INT64_MAX, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

bool
kept_read(struct bytes file, struct kept *k)
{
	struct bytes rest = file, hash;

	if (!bytes_starts(file, text(FIRST)))
		return false;
	rest = bytes_skip(rest, strlen(FIRST));
	if (!cut_field(&rest, "sha256", &hash) || !is_hash_of(hash, rest))
		return false;
	if (!cut_field(&rest, "domain", &k->domain) || !cut_field(&rest, "id", &k->id)
	    || !cut_time(&rest, "fetched", &k->fetched_s) || !cut_time(&rest, "used", &k->used_s))
		return false;
	if (k->domain.n == 0 || k->domain.n > 253 || k->id.n > MTA_STS_ID_MAX || bytes_cut(&rest, '\n').n != 0)
		return false;
	k->body = rest;
	return rest.n <= MTA_STS_POLICY_MAX;
}

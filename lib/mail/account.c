/* SPDX-License-Identifier: ISC */
#include "config.h"

#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/account.h"
#include "proto/idna.h"
#include "proto/smtp_address.h"

/* ---- a row ------------------------------------------------------------------------- */

enum field { PASSWORD, SCRAM_SHA_1, SCRAM_SHA_256, MAILBOX, UID, GID, STATE, NAME, FIELDS };

static const char *const field_names[FIELDS] = {
	[PASSWORD] = "password", [SCRAM_SHA_1] = "scram-sha-1", [SCRAM_SHA_256] = "scram-sha-256",
	[MAILBOX] = "mailbox", [UID] = "uid", [GID] = "gid", [STATE] = "state", [NAME] = "name",
};

static bool
id_parse(struct bytes s, uint32_t *out)
{
	uint64_t n;

	if (!bytes_u64(s, UINT32_MAX - 1, &n))	/* -1 means "leave it" to setuid(2) */
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool
state_parse(struct bytes s, enum account_state *out)
{
	*out = bytes_eq(s, text("active")) ? ACCOUNT_ACTIVE : ACCOUNT_DISABLED;
	return *out == ACCOUNT_ACTIVE || bytes_eq(s, text("disabled"));
}

/* "maildir:/a/path": nothing that leads elsewhere when it is opened by name. */
static bool
is_mailbox(struct bytes s)
{
	struct bytes path = s, format = bytes_cut(&path, ':');

	if ((!bytes_eq(format, text("maildir")) && !bytes_eq(format, text("mbox")))
	    || path.n < 2 || path.n > 1000 || path.p[0] != '/' || bytes_has_control(path))
		return false;
	while (path.n > 0) {
		struct bytes part = bytes_cut(&path, '/');

		if (bytes_eq(part, text("..")))
			return false;
	}
	return true;
}

static bool
is_name(struct bytes name)
{
	return name.n > 0 && name.n <= ACCOUNT_NAME_MAX && bytes_find(name, '\0') == name.n;
}

/* LDAP takes no notice of some spaces. */
static bool
is_plain_name(struct bytes name)
{
	return is_name(name) && !bytes_has_control(name) && bytes_find(name, ' ') == name.n;
}

static bool
field_set(enum field f, struct bytes value, struct arena *arena, struct account *out)
{
	switch (f) {
	case PASSWORD:		out->password = arena_copy(arena, value); return true;
	case SCRAM_SHA_1:	out->scram_sha_1 = arena_copy(arena, value); return true;
	case SCRAM_SHA_256:	out->scram_sha_256 = arena_copy(arena, value); return true;
	case MAILBOX:		out->mailbox = arena_copy(arena, value); return is_mailbox(value);
	case UID:		return id_parse(value, &out->uid) && out->uid != 0;	/* 0 is "not said" */
	case GID:		return id_parse(value, &out->gid) && out->gid != 0;
	case STATE:		return state_parse(value, &out->state);
	case NAME:		out->name = arena_copy(arena, value); return is_plain_name(value);
	case FIELDS:		break;
	}
	return false;
}

bool
account_decode(struct bytes row, struct arena *arena, struct account *out)
{
	unsigned seen = 0;

	*out = (struct account){ 0 };
	if (row.n > ACCOUNT_ROW_MAX || bytes_find(row, '\0') < row.n)
		return false;
	while (row.n > 0) {
		struct bytes value = bytes_cut(&row, '\n');
		size_t name_n = bytes_find(value, '=');
		struct bytes name = bytes_head(value, name_n);
		unsigned f = 0;

		if (name_n == value.n)
			return false;
		value = bytes_skip(value, name_n + 1);
		while (f < FIELDS && !bytes_eq(name, text(field_names[f])))
			f++;
		if (f == FIELDS || (seen & 1u << f) || !field_set(f, value, arena, out))
			return false;
		seen |= 1u << f;
	}
	return true;
}

bool
account_decode_row(struct bytes row, struct arena *arena, struct account *out)
{
	return account_decode(row, arena, out) && out->name.n == 0;
}

static void
put_text(struct buf *row, enum field f, struct bytes value)
{
	if (value.n == 0)
		return;
	must(bytes_find(value, '\n') == value.n);
	buf_text(row, field_names[f]);
	buf_char(row, '=');
	buf_add(row, value);
	buf_char(row, '\n');
}

void
account_encode(const struct account *a, struct buf *row)
{
	put_text(row, PASSWORD, a->password);
	put_text(row, SCRAM_SHA_1, a->scram_sha_1);
	put_text(row, SCRAM_SHA_256, a->scram_sha_256);
	put_text(row, MAILBOX, a->mailbox);
	if (a->uid != 0)
		buf_fmt(row, "uid=%u\n", a->uid);
	if (a->gid != 0)
		buf_fmt(row, "gid=%u\n", a->gid);
	put_text(row, NAME, a->name);
	buf_fmt(row, "state=%s", a->state == ACCOUNT_ACTIVE ? "active" : "disabled");
}

/* ---- where its mail is ----------------------------------------------------------------- */

bool
account_mailbox(const struct account_settings *s, struct bytes name, struct arena *arena, struct bytes *out)
{
	char local[FILE_COMPONENT_MAX + 1], domain[FILE_COMPONENT_MAX + 1];
	size_t at = bytes_rfind(name, '@');

	if (at == name.n || !file_component(bytes_head(name, at), false, local)
	    || !file_component(bytes_skip(name, at + 1), false, domain))
		return false;
	*out = arena_fmt(arena, s->mailbox_format == 0 ? "maildir:%s/%s/%s/Maildir" : "mbox:%s/%s/%s/mbox",
	    s->mail_directory, domain, local);
	return is_mailbox(*out);
}

/* "maildir:~/Maildir": ~ only as the path's first octet, %u is the user's name. */
static bool
pattern_fill(const char *pattern, struct bytes user, struct bytes home, struct arena *arena, struct bytes *out)
{
	struct bytes rest = text(pattern), format = bytes_cut(&rest, ':');
	struct buf b;

	buf_init(&b, 1010);
	buf_add(&b, format);
	buf_char(&b, ':');
	if (rest.n > 0 && rest.p[0] == '~') {
		buf_add(&b, home);
		rest = bytes_skip(rest, 1);
	}
	for (size_t i = 0; i < rest.n; i++) {
		if (rest.p[i] == '%' && i + 1 < rest.n && rest.p[i + 1] == 'u') {
			buf_add(&b, user);
			i++;
		} else
			buf_char(&b, rest.p[i]);
	}
	*out = arena_copy(arena, buf_bytes(&b));
	buf_fini(&b);
	return out->n < 1010 && is_mailbox(*out);
}

bool
account_is_pattern(const char *value, char *why, size_t cap)
{
	struct arena *arena = arena_new(4096);
	struct bytes out;
	bool good = pattern_fill(value, text("user"), text("/home/user"), arena, &out);

	arena_free(&arena);
	if (!good)
		snprintf(why, cap, "not a mailbox; right would be like maildir:~/Maildir or mbox:/var/mail/%%u");
	return good;
}

/* ---- the tables ------------------------------------------------------------------------- */

struct accounts {
	const struct account_settings *s;	/* borrowed */
	struct table	*map, *sasldb, *passwd;	/* owned; NULL: none */
	struct account_memo *memo;		/* borrowed; NULL: none */
	struct buf	 row;
};

struct accounts *
accounts_open(const struct account_settings *s, char *why, size_t cap)
{
	struct accounts *a = mem_alloc(sizeof *a);
	bool good = true;

	a->s = s;
	buf_init(&a->row, ACCOUNT_ROW_MAX);
	why[0] = '\0';
	if (s->account_map[0] != '\0') {
		good = (a->map = table_open(s->account_map, why, cap)) != NULL;
		if (good && why[0] != '\0')
			log_warn("table %s: nobody has an account until it is right", why);
	}
	if (good && s->sasldb_file[0] != '\0') {
		good = (a->sasldb = table_open_sasldb(s->sasldb_file, why, cap)) != NULL;
		if (good && why[0] != '\0')
			log_warn("sasldb_file %s: nobody of it has an account until it is right", why);
	}
	if (good && s->system_accounts) {
		good = (a->passwd = table_open_passwd(s->passwd_file, why, cap)) != NULL;
		if (good && why[0] != '\0')
			log_warn("table %s: no system user has an account until it is right", why);
	}
	if (!good)
		accounts_close(&a);
	return a;
}

void
accounts_close(struct accounts **a)
{
	if (!*a)
		return;
	table_close(&(*a)->map);
	table_close(&(*a)->sasldb);
	table_close(&(*a)->passwd);
	buf_wipe(&(*a)->row);
	mem_free(*a);
	*a = NULL;
}

bool
accounts_directory(const struct account_settings *s, size_t i, char dst[1024])
{
	char spec[1100];

	if (s->account_map[0] != '\0' && i-- == 0)
		return table_directory(s->account_map, dst);
	if (s->sasldb_file[0] != '\0' && i-- == 0)
		snprintf(spec, sizeof spec, "text:%s", s->sasldb_file);
	else if (s->system_accounts && i == 0)
		snprintf(spec, sizeof spec, "text:%s", s->passwd_file);
	else
		return false;
	return table_directory(spec, dst);
}

/* A table that has the account of more than one user is worth no guess. */
static bool
finish_virtual(const struct accounts *a, struct bytes name, struct arena *arena, struct account *out)
{
	out->name = arena_copy(arena, name);
	if (out->uid == 0)
		out->uid = (uint32_t)a->s->mail_uid;
	if (out->gid == 0)
		out->gid = (uint32_t)a->s->mail_gid;
	return out->mailbox.n > 0 || account_mailbox(a->s, name, arena, &out->mailbox);
}

static enum verdict
get_virtual(struct accounts *a, struct bytes name, struct arena *arena, struct account *out)
{
	enum verdict v;

	if (!a->map)
		return NO;
	v = table_get(a->map, name, &a->row);
	if (v == YES && (!account_decode_row(buf_bytes(&a->row), arena, out)
	    || !finish_virtual(a, name, arena, out))) {
		log_warn("account %s: its row in %s cannot be used; set it anew with hermod account",
		    log_text(name), table_path(a->map));
		v = NOT_SURE;
	}
	return v;
}

/* Whose it is that the directory has found. It may know one account by several names, and compares them by rules of its own: of
 * letters that are not ASCII those of RFC 4518 or of a collation, by which many spellings are one. They must not become as many
 * accounts, with a mailbox and a limit each: so the name that it gives back is the account's, and one that is not ASCII counts
 * when it is that. */
static enum verdict
whose(struct bytes asked, struct arena *arena, struct account *out)
{
	struct bytes own;

	if (out->name.n == 0 && bytes_is_ascii(asked)) {
		out->name = asked;
		return YES;
	}
	if (out->name.n == 0) {
		log_warn("account %s: whose that is the directory has to say, in the field name (sql_query, ldap_attributes): it may take many "
		    "spellings of a name that is not ASCII for one", log_text(asked));
		return NOT_SURE;
	}
	own = account_spelling(out->name, arena);
	if (!bytes_is_ascii(asked) && !bytes_eq(own, asked))
		return NO;
	out->name = own;
	return own.n <= ACCOUNT_NAME_MAX ? YES : NOT_SURE;
}

/* Of who has no row of ours: all that is not said is as mail_directory, mail_uid and mail_gid have it. whose: for the journal. */
static enum verdict
finish_foreign(const struct accounts *a, struct bytes name, const char *whose, struct arena *arena, struct account *out)
{
	if (!finish_virtual(a, name, arena, out))
		log_warn("account %s: %s does not say where its mailbox is, and its name cannot be a folder's", log_text(name), whose);
	else if (out->uid == 0 || out->gid == 0)
		log_warn("account %s: %s does not say its uid and gid, and neither do mail_uid and mail_gid", log_text(name), whose);
	else
		return YES;
	return NOT_SURE;
}

static enum verdict
get_sasldb(struct accounts *a, struct bytes name, struct arena *arena, struct account *out)
{
	size_t at = bytes_rfind(name, '@');
	struct buf key;
	enum verdict v;

	if (!a->sasldb || at == name.n)
		return NO;
	buf_init(&key, ACCOUNT_NAME_MAX + 32);
	buf_add(&key, bytes_head(name, at));
	buf_char(&key, '\0');
	buf_add(&key, bytes_skip(name, at + 1));
	buf_char(&key, '\0');
	buf_text(&key, "userPassword");
	v = table_get(a->sasldb, buf_bytes(&key), &a->row);
	buf_fini(&key);
	if (v != YES)
		return v;
	*out = (struct account){ .secret = arena_copy(arena, buf_bytes(&a->row)) };
	buf_wipe(&a->row);
	return finish_foreign(a, name, "sasldb_file", arena, out);
}

/* passwd(5): what follows name and colon is password:uid:gid:gecos:home:shell. */
static enum verdict
get_system(struct accounts *a, struct bytes name, struct arena *arena, struct account *out)
{
	char user[FILE_COMPONENT_MAX + 1];
	struct bytes row, home;
	enum verdict v;

	if (!a->passwd || !file_component(name, false, user))
		return NO;
	v = table_get(a->passwd, name, &a->row);
	if (v != YES)
		return v;
	*out = (struct account){ .system = true, .name = arena_copy(arena, name) };
	row = buf_bytes(&a->row);
	bytes_cut(&row, ':');
	if (!id_parse(bytes_cut(&row, ':'), &out->uid) || !id_parse(bytes_cut(&row, ':'), &out->gid))
		return NOT_SURE;
	bytes_cut(&row, ':');
	home = bytes_cut(&row, ':');
	if (out->uid < a->s->first_uid)
		return NO;
	if (!pattern_fill(a->s->system_mailbox, name, home, arena, &out->mailbox)) {
		log_warn("user %s: has no home where a mailbox could be", user);
		return NOT_SURE;
	}
	return YES;
}

/* Local parts are matched as they are, then in lower case; domains always as router, `hermod account` and settings have them: a
 * person may type U-labels, which his mail program sends as they are. */
static struct bytes
spelling(struct bytes name, bool lower_local, struct arena *arena)
{
	size_t at = bytes_rfind(name, '@'), head = at < name.n ? at + 1 : at;
	struct bytes local = bytes_head(name, head), domain = bytes_skip(name, head);
	unsigned char *p;

	if (lower_local)
		local = smtp_lower(local, arena);
	if (!idna_ascii(domain, arena, &domain))
		domain = smtp_lower(domain, arena);
	p = arena_alloc(arena, local.n + domain.n + 1);
	if (local.n > 0)
		memcpy(p, local.p, local.n);
	if (domain.n > 0)
		memcpy(p + local.n, domain.p, domain.n);
	return bytes_of(p, local.n + domain.n);
}

struct bytes
account_spelling(struct bytes name, struct arena *arena)
{
	return spelling(name, true, arena);
}

static enum verdict
get_any(struct accounts *a, struct bytes name, struct arena *arena, struct account *out)
{
	enum verdict v = get_virtual(a, name, arena, out);

	if (v == NO)
		v = get_sasldb(a, name, arena, out);
	if (v == NO && bytes_find(name, '@') == name.n)
		v = get_system(a, name, arena, out);
	return v;
}

bool
accounts_directory_name(struct bytes name, struct arena *arena, struct bytes *out)
{
	if (!is_plain_name(name))
		return false;
	*out = account_spelling(name, arena);
	return out->n <= ACCOUNT_NAME_MAX;
}

void
accounts_remember(struct accounts *a, struct account_memo *memo)
{
	a->memo = memo;
}

bool
accounts_want(const struct accounts *a)
{
	return a->memo && a->memo->wanted > 0;
}

static enum verdict
get_directory(struct accounts *a, struct bytes name, struct arena *arena, struct account *out)
{
	struct bytes asked;
	enum verdict v;

	if (a->s->directory == 0 || !accounts_directory_name(name, arena, &asked))
		return NO;
	if (!a->memo)
		return NOT_SURE;
	v = account_memo_get(a->memo, asked, out);
	if (v == YES)
		v = whose(asked, arena, out);
	return v == YES ? finish_foreign(a, out->name, "the directory", arena, out) : v;
}

enum verdict
accounts_get(struct accounts *a, struct bytes name, struct arena *arena, struct account *out)
{
	struct bytes as_is, all;
	enum verdict v;

	if (!is_name(name))
		return NO;
	as_is = spelling(name, false, arena);
	if (!is_name(as_is))		/* in A-labels it may be longer */
		return NO;
	v = get_any(a, as_is, arena, out);
	if (v != NO)
		return v;
	all = spelling(name, true, arena);
	if (!bytes_eq(all, as_is))
		v = get_any(a, all, arena, out);
	return v == NO ? get_directory(a, all, arena, out) : v;
}

struct walk {
	struct accounts	*a;
	bool		(*each)(void *, struct bytes, const struct account *);
	void		*arg;
};

static bool
walk_row(void *arg, struct bytes key, struct bytes value)
{
	struct walk *w = arg;
	struct arena *arena = arena_new(65536);
	struct account account;
	bool good = account_decode_row(value, arena, &account) && finish_virtual(w->a, key, arena, &account);
	bool more = w->each(w->arg, key, good ? &account : NULL);

	arena_free(&arena);
	return more;
}

bool
accounts_walk(struct accounts *a, bool (*each)(void *arg, struct bytes name, const struct account *), void *arg)
{
	return !a->map || table_walk(a->map, walk_row, &(struct walk){ a, each, arg });
}

/* SPDX-License-Identifier: ISC */
#include "router/logins.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "mail/credentials.h"
#include "proto/sasl_oauth.h"

#define VALUE_OCTETS	4096u
#define ARENA_OCTETS	65536u
#define REPLY_OCTETS	512u		/* as credentials_answer has it */

struct logins {
	struct table	*table;		/* owned; NULL: nobody logs in anywhere */
	int		 tokens;	/* owned: the folder of tokens; -1: it is not there */
	char		 folder[1024];	/* its name, for messages */
	struct buf	 value;		/* owned; what the table said: a secret */
	struct buf	 token;		/* owned; a secret */
	struct arena	*arena;		/* owned; of one question */
	char		 why[1500];
};

/* ---- a token ---- */

static bool
say(struct logins *l, const char *name, const char *what)
{
	snprintf(l->why, sizeof l->why, "the token in %s/%s: %s", l->folder, name, what);
	return false;
}

/* Who owns the folder may put any file there; another user's file in it was put there by a mistake, or on purpose. */
static bool
is_kept_well(struct logins *l, int fd, const char *name)
{
	struct stat st, folder;

	if (fstat(fd, &st) == -1 || fstat(l->tokens, &folder) == -1)
		return say(l, name, strerror(errno));
	if (st.st_mode & (S_IWGRP | S_IRWXO))
		return say(l, name, "others than its owner can write it, or everybody read it: chmod 640");
	if (st.st_uid != 0 && st.st_uid != folder.st_uid)
		return say(l, name, "its owner is neither root nor that of the folder");
	return true;
}

static bool
read_token(struct logins *l, const char *name)
{
	int fd = l->tokens == -1 ? -1 : file_open(l->tokens, name, O_RDONLY, 0);
	bool good;

	if (fd == -1)
		return say(l, name, l->tokens == -1 ? "the folder is not there" : strerror(errno));
	good = is_kept_well(l, fd, name);
	if (good && !file_slurp_from(fd, &l->token))
		good = say(l, name, strerror(errno));
	fd_close(&fd);
	return good && (sasl_oauth_token_fits(bytes_trim(buf_bytes(&l->token)))
	    || say(l, name, "it is empty, or holds what no token has"));
}

/* ---- the answer ---- */

static void
unsure(struct logins *l, struct bytes key, struct ipc_credentials_answer *out)
{
	log_warn("smtp_credentials: %s: %s", log_text(key), l->why);
	*out = (struct ipc_credentials_answer){ .verdict = NOT_SURE, .key = key, .reply = bytes_head(text(l->why), REPLY_OCTETS) };
}

static void
understand(struct logins *l, struct bytes key, struct ipc_credentials_answer *out)
{
	struct credentials c;
	char name[FILE_COMPONENT_MAX + 1];

	if (!credentials_parse(buf_bytes(&l->value), &c, l->why, sizeof l->why)
	    || (c.oauth && (!bytes_to_text(c.secret, name, sizeof name) || !read_token(l, name)))) {
		unsure(l, key, out);
		return;
	}
	*out = (struct ipc_credentials_answer){ .verdict = YES, .key = key, .mechanisms = c.mechanisms, .user = c.user,
	    .oauth = c.oauth, .secret = c.oauth ? bytes_trim(buf_bytes(&l->token)) : c.secret };
}

void
logins_find(struct logins *l, struct bytes nexthop, struct ipc_credentials_answer *out)
{
	struct bytes keys[CREDENTIALS_KEYS];
	size_t n;

	*out = (struct ipc_credentials_answer){ .verdict = NO };
	logins_wipe(l);
	if (!l->table)
		return;
	n = credentials_keys(nexthop, l->arena, keys);
	for (size_t i = 0; i < n; i++)
		switch (table_get(l->table, keys[i], &l->value)) {
		case NOT_SURE:
			snprintf(l->why, sizeof l->why, "%s cannot be read just now", table_path(l->table));
			unsure(l, keys[i], out);
			return;
		case YES:
			understand(l, keys[i], out);
			return;
		case NO:
			break;
		}
}

void
logins_wipe(struct logins *l)
{
	buf_wipe(&l->value);
	buf_wipe(&l->token);
	arena_reset(l->arena);
}

/* ---- life ---- */

static void
warn_of_readers(const struct logins *l)
{
	struct stat st;

	if (stat(table_path(l->table), &st) == 0 && (st.st_mode & S_IROTH))
		log_warn("smtp_credentials: %s has passwords in it, and everybody can read it: chmod 640, and chgrp to the "
		    "router's group", table_path(l->table));
}

struct logins *
logins_open(const struct router_settings *s, char *why, size_t cap)
{
	struct logins *l = mem_alloc(sizeof *l);

	*l = (struct logins){ .tokens = -1, .arena = arena_new(ARENA_OCTETS) };
	buf_init(&l->value, VALUE_OCTETS);
	buf_init(&l->token, SASL_OAUTH_TOKEN_MAX + 2);
	why[0] = '\0';
	if (s->credentials[0] == '\0')
		return l;
	l->table = table_open(s->credentials, why, cap);
	if (!l->table || !table_directory(s->credentials, l->folder)) {
		logins_close(&l);
		return NULL;
	}
	if (why[0] != '\0')
		log_warn("table %s: mail to other hosts is put off until it is right, or smtp_credentials = \"\"", why);
	warn_of_readers(l);
	if (s->token_directory[0] != '\0')
		snprintf(l->folder, sizeof l->folder, "%s", s->token_directory);
	l->tokens = open(l->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return l;
}

void
logins_close(struct logins **taken)
{
	struct logins *l = *taken;

	*taken = NULL;
	if (!l)
		return;
	logins_wipe(l);
	table_close(&l->table);
	fd_close(&l->tokens);
	arena_free(&l->arena);
	mem_free(l);
}

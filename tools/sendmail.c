/* SPDX-License-Identifier: ISC */
/*
 * tools/sendmail.c - the sendmail command, which scripts have called for decades;
 * mailq and newaliases are other names of it. Options that change nothing here are
 * taken without complaint. While the suite is down hermod-drop keeps the message.
 */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "config.h"
#include "mail/settings.h"
#include "mail/envelope.h"
#include "master/tables.h"
#include "tools/sendmail.h"

enum mode { DELIVER, SMTP, LIST, ALIASES, VERIFY, NOTHING };

struct options {
	enum mode	mode;
	bool		take_rcpts, ignore_dots, verbose, json, null_sender, body_8bit;
	const char	*sender, *name, *envid, *conf;
	uint32_t	notify;
	char		**rcpts;
	int		nrcpts;
};

static void
usage(FILE *to)
{
	fprintf(to,
	    "usage: sendmail [-t] [-i] [-f sender] [-F name] [-N dsn] [-V envid] [-v] [recipient ...]\n"
	    "       sendmail -bs | -bp | -bi | -bv recipient ...\n"
	    "       mailq [--json]\n"
	    "\n"
	    "  -t   recipients from To, Cc, Bcc\n"
	    "  -i   a line of a single dot does not end the message (also -oi)\n"
	    "  -f   envelope sender (\"<>\" or \"\" for none)    -F  full name for From\n"
	    "  -N   never, or success,failure,delay            -V  envelope id\n"
	    "  -bs  speak SMTP on standard input and output    -bp the queue (mailq)\n"
	    "  -bi  rebuild the alias table (newaliases)       -v  say what became of it\n"
	    "  -bv  say whether the recipients would be taken  -C  another configuration\n"
	    "\n"
	    "The message is read from standard input. Exit codes are those of sysexits.h. See sendmail(8).\n");
}

static _Noreturn void
bad_usage(const char *what, const char *value)
{
	fprintf(stderr, "sendmail: %s%s\n", what, log_text(text(value)));
	usage(stderr);
	exit(EX_USAGE);
}

/* -N, RFC 3461 section 4.1. */
static uint32_t
notify_bits(const char *value)
{
	static const struct { const char *word; uint32_t bit; } words[] = {
		{ "never", NOTIFY_NEVER }, { "success", NOTIFY_SUCCESS },
		{ "failure", NOTIFY_FAILURE }, { "delay", NOTIFY_DELAY },
	};
	struct bytes rest = text(value);
	uint32_t bits = 0;

	while (rest.n > 0) {
		struct bytes word = bytes_cut(&rest, ',');
		size_t i;

		for (i = 0; i < LEN(words) && !bytes_case_eq(word, text(words[i].word)); i++)
			;
		if (i == LEN(words))
			bad_usage("-N takes never, or success, failure, delay: ", value);
		bits |= words[i].bit;
	}
	if ((bits & NOTIFY_NEVER) && bits != NOTIFY_NEVER)
		bad_usage("-N never goes with nothing else: ", value);
	return bits;
}

static void
set_mode(struct options *o, const char *value)
{
	switch (value[0]) {
	case 'm':	o->mode = DELIVER; return;
	case 's':	o->mode = SMTP; return;
	case 'p':	o->mode = LIST; return;
	case 'i':	o->mode = ALIASES; return;
	case 'v':	o->mode = VERIFY; return;
	case 'd': case 'D': case 'h': case 'H':
		fprintf(stderr, "sendmail: -b%c: the daemons are started with: hermod start\n", value[0]);
		exit(EX_USAGE);
	default:
		bad_usage("mode not known: -b", value);
	}
}

static void
set_o(struct options *o, const char *value)
{
	if (value[0] == 'i' && value[1] == '\0')
		o->ignore_dots = true;
	/* the rest of the -o options of old change nothing here */
}

static void
set_sender(struct options *o, const char *value)
{
	size_t n = strlen(value);

	o->null_sender = n == 0 || strcmp(value, "<>") == 0;
	if (n >= 2 && value[0] == '<' && value[n - 1] == '>') {
		char *inner = mem_text(value + 1);

		inner[n - 2] = '\0';
		value = inner;			/* for the life of the process */
	}
	o->sender = value;
}

/* RFC 3461 section 4.4. */
static void
set_envid(struct options *o, const char *value)
{
	for (const char *c = value; *c != '\0'; c++)
		if (*c < 33 || *c > 126 || c - value >= 100)
			bad_usage("-V takes at most 100 printable characters, no space: ", value);
	o->envid = value;
}

/* Options that have a value, in the same word or the next. */
static const char with_value[] = "bBCdfFhLNoOpRrVX";

static void
set(struct options *o, char c, const char *value)
{
	switch (c) {
	case 'b':	set_mode(o, value); break;
	case 'B':	o->body_8bit = strcasecmp(value, "8BITMIME") == 0; break;
	case 'C':	o->conf = value; break;
	case 'f': case 'r': set_sender(o, value); break;
	case 'F':	o->name = value; break;
	case 'N':	o->notify = notify_bits(value); break;
	case 'o':	set_o(o, value); break;
	case 'V':	set_envid(o, value); break;
	case 't':	o->take_rcpts = true; break;
	case 'i':	o->ignore_dots = true; break;
	case 'v':	o->verbose = true; break;
	case 'q':	o->mode = NOTHING; break;	/* run the queue: qmgr does that by itself */
	case 'I':	o->mode = ALIASES; break;
	case 'd': case 'h': case 'L': case 'O': case 'p': case 'R': case 'X':
	case 'A': case 'G': case 'm': case 'n': case 's': case 'U': case 'E': case 'x':
		break;				/* taken without complaint */
	default: {
		const char name[3] = { '-', c, '\0' };

		bad_usage("option not known: ", name);
	}
	}
}

static void
parse(struct options *o, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
		const char *p = argv[i] + 1;

		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		if (strcmp(argv[i], "--json") == 0) {
			o->json = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0) {
			usage(stdout);
			exit(EX_OK);
		}
		if (*p == '-')
			bad_usage("option not known: ", argv[i]);
		for (; *p != '\0'; p++) {
			if (*p == 'q' || *p == 'A') {	/* -q30m, -qIid, -Ac: the rest is its value */
				set(o, *p, p + 1);
				break;
			}
			if (strchr(with_value, *p) == NULL) {
				set(o, *p, "");
				continue;
			}
			if (p[1] != '\0')
				set(o, *p, p + 1);
			else if (*p == 'd')		/* alone it has none */
				break;
			else if (i + 1 < argc)
				set(o, *p, argv[++i]);
			else
				bad_usage("a value is missing for ", argv[i]);
			break;
		}
	}
	o->rcpts = argv + i;
	o->nrcpts = argc - i;
}

/* ---- where the suite is ---- */

/* pickup's limits, which it holds itself: so it is said early. */
static const struct setting limits[] = {
	SET_SIZE("message_size_limit",	struct place, message_octets, "25M", 0, 0),
	SET_NUMBER("pickup_recipient_limit", struct place, recipients, "1000", 0, 0),
	SET_SIZE("header_size_limit",	struct place, header_octets, "256K", 0, 0),
	SET_NUMBER("mime_depth_limit",	struct place, mime_depth, "50", 0, 0),
	SET_NUMBER("mime_part_limit",	struct place, mime_parts, "2000", 0, 0),
	SET_NUMBER("hop_limit",		struct place, hops, "100", 0, 0),
	SET_END
};

static int
find_place(const struct options *o, struct place *where)
{
	const char *path = o->conf ? o->conf : HERMOD_SYSCONFDIR "/hermod.conf";
	struct settings_file *f;
	struct buf faults;

	buf_init(&faults, 65536);
	f = settings_load(path, all_settings, &faults);		/* for the life of the process */
	if (f == NULL) {
		fprintf(stderr, "sendmail: the configuration cannot be used:\n%.*s", BYTES_FMT(buf_bytes(&faults)));
		buf_fini(&faults);
		return EX_CONFIG;
	}
	buf_fini(&faults);
	where->run_directory = settings_value(f, "run_directory");
	where->hostname = settings_value(f, "hostname");
	where->alias_map = settings_value(f, "alias_map");
	where->program_directory = settings_value(f, "program_directory");
	where->conf = o->conf;
	settings_fill(f, limits, where);
	return EX_OK;
}

/* ---- sending ---- */

static const char *
default_sender(const struct place *where)
{
	const struct passwd *pw = getpwuid(getuid());
	struct buf b;

	buf_init(&b, 2048);
	if (pw != NULL)
		buf_fmt(&b, "%s@%s", pw->pw_name, where->hostname);
	else
		buf_fmt(&b, "uid-%u@%s", (unsigned)getuid(), where->hostname);
	buf_char(&b, '\0');
	return (const char *)b.p;		/* for the life of the process */
}

/* An address without domain is one of this host's. */
static struct bytes
complete(struct bytes address, const struct place *where, struct buf *out)
{
	address = bytes_trim(address);
	if (address.n >= 2 && address.p[0] == '<' && address.p[address.n - 1] == '>')
		address = bytes_of(address.p + 1, address.n - 2);
	buf_clear(out);
	buf_add(out, address);
	if (bytes_rfind(address, '@') == address.n && !bytes_case_eq(address, text("postmaster")))
		buf_fmt(out, "@%s", where->hostname);
	return buf_bytes(out);
}

/* False: it was refused, and said so. */
static bool
add_recipient(struct pickup_client *p, const struct options *o, const struct place *where,
    struct bytes address, int *code)
{
	struct pickup_answer a = { 0 };
	struct buf whole;
	bool alive;

	buf_init(&whole, 8192);
	address = complete(address, where, &whole);
	alive = pickup_rcpt(p, address, o->notify, &a);
	if (!alive) {
		fprintf(stderr, "sendmail: the mail system went away; try again\n");
		*code = EX_TEMPFAIL;
	} else if (a.code >= 400) {
		fprintf(stderr, "sendmail: %s: %u %s\n", log_text(address), a.code, a.reply);
		if (*code == EX_OK || a.code >= 500)
			*code = exit_code(&a);
	}
	buf_fini(&whole);
	return alive;
}

static bool
add_recipients(struct pickup_client *p, const struct options *o, const struct place *where,
    const struct message *m, int *code)
{
	struct bytes run = buf_bytes(&m->rcpts);
	bool bad = false, alive = true;
	size_t n = 0;

	for (int i = 0; i < o->nrcpts && alive; i++) {
		struct bytes list = text(o->rcpts[i]);

		while (list.n > 0 && alive) {	/* "a@b,c@d" in one argument is an old custom */
			struct bytes one = bytes_trim(bytes_cut(&list, ','));

			if (one.n > 0) {
				alive = add_recipient(p, o, where, one, code);
				n++;
			}
		}
	}
	while (run.n > 0 && !bad && alive) {
		struct bytes one = ipc_cut_text(&run, &bad);

		if (!bad) {
			alive = add_recipient(p, o, where, one, code);
			n++;
		}
	}
	if (n == 0) {
		fprintf(stderr, "sendmail: no recipients; name them, or use -t\n");
		*code = EX_USAGE;
	}
	return alive && *code == EX_OK;
}

/* -F, when the message has no From of its own. */
static bool
add_from(struct pickup_client *p, const struct options *o, const struct message *m, const char *sender)
{
	struct buf line;
	bool good;

	if (o->name == NULL || m->has_from)
		return true;
	buf_init(&line, 8192);
	buf_text(&line, "From: \"");
	for (const char *c = o->name; *c != '\0'; c++) {
		if (*c == '"' || *c == '\\')
			buf_char(&line, '\\');
		buf_char(&line, (unsigned char)*c < 32 ? ' ' : (unsigned char)*c);
	}
	buf_fmt(&line, "\" <%s>\n", sender);
	good = !line.full && pickup_data(p, buf_bytes(&line));
	buf_fini(&line);
	return good;
}

static int
send_message(struct pickup_client *p, const struct options *o, const struct place *where, struct message *m)
{
	const char *sender = o->sender && !o->null_sender ? o->sender : default_sender(where);
	struct pickup_answer a = { 0 };
	struct buf whole;
	int code = EX_OK;
	bool alive;

	buf_init(&whole, 8192);
	alive = pickup_begin(p, &(struct ipc_submit){ .null_sender = o->null_sender,
	    .sender = o->null_sender ? text(NULL) : complete(text(sender), where, &whole),
	    .envid = text(o->envid), .body_8bit = o->body_8bit }, &a);
	buf_fini(&whole);
	if (alive && a.code != 250) {
		fprintf(stderr, "sendmail: %u %s\n", a.code, a.reply);
		return exit_code(&a);
	}
	if (alive && !add_recipients(p, o, where, m, &code))
		return code;
	if (!alive || !add_from(p, o, m, sender) || !message_send(m, p)
	    || !pickup_end(p, &a)) {
		fprintf(stderr, "sendmail: the mail system went away; try again\n");
		return EX_TEMPFAIL;
	}
	if (a.code != 250)
		fprintf(stderr, "sendmail: %u %s\n", a.code, a.reply);
	else if (o->verbose && a.queue_id[0] == '\0')
		printf("the mail system is down; the message is kept until it is up\n");
	else if (o->verbose)
		printf("queued as %s\n", a.queue_id);
	return exit_code(&a);
}

static int
deliver(const struct options *o, const struct place *where)
{
	struct pickup_client p;
	struct message m;
	int code;

	if (message_begin(&m, STDIN_FILENO, !o->ignore_dots, o->take_rcpts, &code)
	    && message_read(&m, STDIN_FILENO, where->message_octets, &code)
	    && (code = suite_connect(&p, where)) == EX_OK) {
		code = send_message(&p, o, where, &m);
		pickup_close(&p);
	}
	message_fini(&m);
	return code;
}

/* -bv: would these recipients be taken? Nothing is sent. */
static int
verify(const struct options *o, const struct place *where)
{
	struct pickup_client p;
	struct message none = { 0 };
	struct pickup_answer a = { 0 };
	int code = pickup_connect(&p, where->run_directory);

	if (code == EX_TEMPFAIL)
		fprintf(stderr, "sendmail: the mail system is down; start it with: hermod start\n");
	if (code != EX_OK)
		return code;
	if (!pickup_begin(&p, &(struct ipc_submit){ .null_sender = 1 }, &a) || a.code != 250) {
		fprintf(stderr, "sendmail: cannot ask now; try again\n");
		code = EX_TEMPFAIL;
	} else if (add_recipients(&p, o, where, &none, &code)) {
		printf("deliverable\n");
	}
	pickup_close(&p);
	return code;
}

/* What was asked for was to be shown. A message that is queued is queued, and must not be sent again: not for that. */
static int
shown(int code)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return code;
	fprintf(stderr, "sendmail: not all that was to be shown could be: %s\n", strerror(errno));
	return code == EX_OK ? EX_IOERR : code;
}

int
main(int argc, char **argv)
{
	struct options o = { .mode = DELIVER };
	struct place where;
	const char *base = strrchr(argc > 0 ? argv[0] : "sendmail", '/');
	int code;

	if (!file_standard())		/* hermod-drop refuses to run without them */
		return EX_OSERR;
	base = base ? base + 1 : argc > 0 ? argv[0] : "sendmail";
	if (strcmp(base, "mailq") == 0)
		o.mode = LIST;
	else if (strcmp(base, "newaliases") == 0)
		o.mode = ALIASES;
	parse(&o, argc, argv);
	if (o.mode == NOTHING)
		return EX_OK;
	code = find_place(&o, &where);
	if (code != EX_OK)
		return code;
	switch (o.mode) {
	case SMTP:	return smtp_on_stdin(&where);
	case VERIFY:	return shown(verify(&o, &where));
	case LIST:	return shown(show_queue(where.run_directory, o.json));
	case ALIASES:	return shown(rebuild_aliases(where.alias_map));
	default:	return deliver(&o, &where);
	}
}

/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/notice_testing.h"
#include "proto/mime_tree.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Texts end in 0xfe, which no UTF-8 has. */
static struct bytes
cut(struct bytes *rest)
{
	return bytes_cut(rest, 0xfe);
}

static void
write_all(struct notice *n, struct bytes message, struct buf *out)
{
	struct buf piece;
	enum notice_next next;

	buf_init(&piece, NOTICE_PIECE_MAX + 8 * NOTICE_CHUNK);
	while ((next = notice_next(n, &piece)) != NOTICE_DONE) {
		must(piece.n <= NOTICE_PIECE_MAX);
		buf_add(out, buf_bytes(&piece));
		buf_clear(&piece);
		while (next == NOTICE_CONTENT && message.n > 0) {	/* once */
			notice_content(n, bytes_head(message, NOTICE_CHUNK), &piece);
			message = bytes_skip(message, NOTICE_CHUNK);
			buf_add(out, buf_bytes(&piece));
			buf_clear(&piece);
		}
	}
	buf_fini(&piece);
}

/* RFC 5322 section 2.1.1; nothing 8-bit that does not say so. */
static void
check_lines(const struct notice *n, struct bytes all)
{
	must(bytes_ends(all, text("--\r\n")));
	while (all.n > 0) {
		struct bytes line = bytes_cut(&all, '\n');

		must(line.n > 0 && line.n <= 999 && line.p[line.n - 1] == '\r');
		for (size_t i = 0; i + 1 < line.n; i++)
			must(line.p[i] != '\r' && line.p[i] != '\0' && (line.p[i] < 0x80 || n->body != BODY_7BIT || n->smtputf8));
	}
}

/* A group of fields for the message and one for each recipient, each with what must be there, once. */
static void
check_status(const struct notice *n, struct bytes all)
{
	size_t groups = 0, finals = 0, actions = 0, status = 0, reporting = 0;
	bool empty = true;

	while (all.n > 0) {
		struct bytes line = bytes_head(all, bytes_find(all, '\r'));

		all = bytes_skip(all, line.n + 2);
		must(line.n == 0 || bytes_trim(line).n > 0);
		groups += empty && line.n > 0;
		empty = line.n == 0;
		finals += bytes_starts(line, text("Final-Recipient: "));
		actions += bytes_starts(line, text("Action: "));
		status += bytes_starts(line, text("Status: "));
		reporting += bytes_starts(line, text("Reporting-MTA: dns; mx.example"));
	}
	must(groups == n->ntold + 1 && finals == n->ntold && actions == n->ntold && status == n->ntold && reporting == 1);
}

static void
check_parts(const struct notice *n, const struct mime_tree *t, const char *base)
{
	const struct mime_part *p = t->root->first;
	struct mime_range status;
	size_t parts = 0;

	must(t->root->kind == MIME_MULTIPART);
	for (; p != NULL; p = p->next)
		parts++;
	must(parts == (n->returned == RETURN_NOTHING ? 2u : 3u));
	status = mime_part_body(t->root->first->next);
	check_status(n, bytes_of(base + status.at, status.n));
}

static void
fill(struct envelope *e, struct recipient *r, uint8_t flags, uint8_t more, struct bytes *rest)
{
	*r = (struct recipient){ .notify = more & 15, .state = (more >> 4) % 5, .attempts = more, .last_s = more,
	    .original = cut(rest), .final = cut(rest), .orcpt = cut(rest), .last_reply = cut(rest), .remote = cut(rest),
	    .command = cut(rest), .said = cut(rest), .transport = text(flags & 1 ? "local" : "smtp") };
	*e = (struct envelope){ .smtputf8 = flags >> 1 & 1, .ret = (flags >> 2 & 3) % 3, .arrival_s = 1700000000,
	    .sender = cut(rest), .envid = cut(rest), .client = text("192.0.2.1"), .helo = cut(rest), .rcpts = r, .nrcpts = 1 };
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes in = bytes_of(p, n), rest = bytes_skip(in, 2), template, message;
	struct notice_templates templates = { 0 };
	struct notice_rules rules = { .hostname = "mx.example", .full_octets = 1 << 20, .templates = &templates };
	struct notice_look header_look, look;
	struct notice_told *told;
	struct envelope e;
	struct recipient r;
	struct arena *a;
	struct buf out;
	char boundary[NOTICE_BOUNDARY_MAX], why[256];

	if (n < 2)
		return 0;
	a = arena_new(256 << 20);
	buf_init(&out, 64 << 20);
	fill(&e, &r, p[0], p[1], &rest);
	template = cut(&rest);
	message = rest;
	rules.full = p[0] >> 4 & 1;
	for (int i = 0; i < NOTICE_TEXTS; i++)
		if (!notice_template_parse(template, &templates.text[i], why, sizeof why))
			templates.text[i] = notice_template_standard((enum notice_text)i);
	notice_boundary((const unsigned char *)"0123456789abcdef", boundary);
	for (int kind = NOTICE_FINAL; kind <= NOTICE_DELAY; kind++) {
		struct notice notice = { .rules = &rules, .envelope = &e, .about = "ABOUT", .id = "ID", .to = e.sender,
		    .takes_8bit = p[0] >> 5 & 1, .to_postmaster = p[0] >> 6 & 1, .now_s = 1700100000, .boundary = boundary,
		    .header = header_of(message), .octets = message.n, .header_look = &header_look };
		struct mime_tree tree;

		notice.ntold = notice_recipients(&e, (enum notice_kind)kind, a, &told, &notice.failed);
		notice.told = told;
		look_at(&header_look, boundary, notice.header);
		look_at(&look, boundary, message);
		if (look.has_boundary || header_look.has_boundary || notice.ntold == 0)
			continue;
		if (notice_wants_message(&rules, &e, notice.failed, message.n))
			notice.look = &look;
		buf_clear(&out);
		notice_begin(&notice, a);
		write_all(&notice, message, &out);
		must(!out.full);
		check_lines(&notice, buf_bytes(&out));
		mime_tree_parse(buf_bytes(&out), a, &tree);
		check_parts(&notice, &tree, (const char *)out.p);
	}
	buf_fini(&out);
	arena_free(&a);
	return 0;
}

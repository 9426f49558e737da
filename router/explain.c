/* SPDX-License-Identifier: ISC */
#include "router/explain.h"

#include <stdarg.h>
#include <stdio.h>

void
explanation_init(struct explanation *e)
{
	*e = (struct explanation){ 0 };
	buf_init(&e->steps, EXPLAIN_OCTETS);
	ipc_out_init(&e->step);
}

void
explanation_fini(struct explanation *e)
{
	buf_fini(&e->steps);
	ipc_out_fini(&e->step);
}

void
explanation_clear(struct explanation *e)
{
	buf_clear(&e->steps);
	e->depth = 0;
	e->left_out = 0;
}

/* A run that is full holds no part of a step. */
static void
add(struct explanation *e, const char *rule, struct bytes words)
{
	ipc_put_explain_step(&e->step, 0, &(struct ipc_explain_step){ .rule = text(rule), .depth = e->depth,
	    .words = words });
	if (!e->steps.full)
		ipc_add_text(&e->steps, ipc_out_body(&e->step));
	e->left_out += e->steps.full;
}

void
explain(struct explanation *e, const char *rule, const char *fmt, ...)
{
	char words[EXPLAIN_WORDS + 1];
	size_t n;
	va_list ap;

	if (!e)
		return;
	va_start(ap, fmt);
	n = (size_t)vsnprintf(words, sizeof words, fmt, ap);
	va_end(ap);
	if (n > EXPLAIN_WORDS) {
		n = EXPLAIN_WORDS;
		memcpy(words + n - 3, "...", 3);
	}
	add(e, rule, bytes_of(words, n));
}

void
explain_lookup(struct explanation *e, const char *rule, const char *setting, const char *spec, struct bytes key,
    enum verdict said, struct bytes value)
{
	switch (said) {
	case YES:
		explain(e, rule, "%s %s has %.*s: %.*s", setting, spec, BYTES_FMT(key), BYTES_FMT(value));
		break;
	case NO:
		explain(e, rule, "%s %s does not have %.*s", setting, spec, BYTES_FMT(key));
		break;
	case NOT_SURE:
		explain(e, rule, "%s %s cannot be asked for %.*s just now", setting, spec, BYTES_FMT(key));
	}
}

void
explain_within(struct explanation *e, int by)
{
	if (e)
		e->depth += (unsigned)by;
}

/* SPDX-License-Identifier: ISC */
/*
 * directory/main.c - asks LDAP, SQLite or PostgreSQL about accounts:  router, auth -> directory -> the administrator's server
 *
 * Runs only where account_directory says so. Connects to the one server of the settings, by the addresses that the resolver
 * gives, or reads the one file; has no mail and no client. Whoever asks gives a name, and auth a password with it, which goes
 * to that server alone and is kept nowhere. What the server says is taken apart by its library, and believed no more than a row of the
 * account table: row.c. directory.h says where the rest is.
 */
#include "directory/directory.h"

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	return questions_take(owner, c, in);
}

static void
on_gone(void *owner, struct channel *c)
{
	questions_forget(owner, c);
}

static void
on_stop(void *owner)
{
	questions_stop(owner);
}

static uint32_t
sessions(void *owner)
{
	return questions_waiting(owner);
}

static void
on_report(void *owner, struct buf *note)
{
	questions_report(owner, note);
}

int
main(void)
{
	struct daemon d;
	struct directory_settings settings;
	struct questions *q;

	daemon_start(&d, "directory");
	daemon_settings(&d, directory_settings, &settings);
	q = questions_new(&d, &settings);
	daemon_confine(&d, KEEP_FILES | KEEP_NET_OUT);	/* ---- strangers only below ---- */
	questions_confined(q);
	d.owner = q;
	d.on_frame = on_frame;
	d.on_gone = on_gone;
	d.on_stop = on_stop;
	d.on_report = on_report;
	d.sessions = sessions;
	daemon_serve(&d);
	questions_free(&q);
	settings_free(directory_settings, &settings);
	return daemon_stop(&d);
}

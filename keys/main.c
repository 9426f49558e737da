/* SPDX-License-Identifier: ISC */
/*
 * keys/main.c - sign with private keys:  smtpd -> keys
 *
 * Holds the private keys of tls_certificates, which master opened and did not read, and
 * channels to those who may have something signed; no socket, no file, no network. Nobody gets a
 * key from it, and each caller only the signatures that its work wants: keys.c. A signature is the work of a
 * millisecond, so it is done between two frames; who needs more sets keys_workers.
 */
#include "keys/keys.h"

static bool
on_frame(void *owner, struct channel *c, struct ipc_in *in)
{
	return keys_take(owner, c, in);
}

int
main(void)
{
	struct daemon d;
	struct tls_settings settings;
	struct keys *keys;

	daemon_start(&d, "keys");
	daemon_settings(&d, tls_settings, &settings);
	keys = keys_new(&d, &settings);			/* before it is confined: OpenSSL may want its own files */
	daemon_confine(&d, 0);				/* ---- strangers only below ---- */
	d.owner = keys;
	d.on_frame = on_frame;
	daemon_serve(&d);
	keys_free(&keys);
	settings_free(tls_settings, &settings);
	return daemon_stop(&d);
}

/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/directory_settings.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A server that is one has a host or a socket, and not both. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct arena *arena = arena_new(CONNINFO_ARENA);
	struct directory_server s;
	struct conninfo c;
	char words[2048], why[1400];

	if (bytes_to_text(bytes_of(p, n), words, sizeof words)) {
		if (directory_ldap_uri(words, &s, why, sizeof why))
			must((s.host[0] == '\0') == (s.path[0] == '/') && (s.port != 0) == (s.host[0] != '\0'));
		if (conninfo_parse(text(words), arena, &c, why, sizeof why) && directory_postgresql(&c, &s, why, sizeof why))
			must((s.host[0] == '\0') == (s.path[0] == '/') && s.port != 0);
		(void)setting_is_ldap_attribute(words, why, sizeof why);
	}
	arena_free(&arena);
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/ipc.h"
#include "mail/tls_identity.h"
#include "proto/smtp_address.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* A certificate in DER. What is taken is one address or more, each as it would be written again. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	X509 *x = d2i_X509(NULL, &p, (long)n);
	struct arena *a = arena_new(1 << 16);
	struct smtp_address address;
	struct buf run;
	bool bad = false;
	unsigned count = 0;

	buf_init(&run, TLS_IDENTITY_MAX);
	if (x && tls_identity(x, &run) == TLS_IDENTITY_FOUND) {
		struct bytes rest = buf_bytes(&run);

		while (rest.n > 0 && ++count) {
			struct bytes one = ipc_cut_text(&rest, &bad);

			must(!bad && smtp_mailbox_parse(one, 0, a, &address) == SMTP_ADDRESS_OK);
			must(bytes_eq(smtp_address_text(&address, a), one));
		}
		must(count > 0 && count <= TLS_ADDRESSES_MAX);
	} else {
		must(run.n == 0);
	}
	buf_fini(&run);
	arena_free(&a);
	X509_free(x);
	return 0;
}

/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/network.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What can be read as a network has its own edges in it. */
int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sockaddr_storage sa;
	struct network net;
	struct address last;
	socklen_t size;
	char why[64];

	if (network_parse(bytes_of(p, n), &net, why, sizeof why)) {
		network_last(&net, &last);
		must(network_has(&net, &net.first) && network_has(&net, &last));
	}
	listen_parse(bytes_of(p, n), &sa, &size, why, sizeof why);
	return 0;
}

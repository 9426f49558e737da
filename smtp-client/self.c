/* SPDX-License-Identifier: ISC */
/*
 * smtp-client/self.c - is that address this host? What comes from DNS is compared with where we listen and with what
 * the kernel says is its own, at that moment: addresses come and go, and names are not to be believed.
 */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "smtp-client/client.h"

struct listens { struct address address; uint16_t port; bool any; };

struct self {
	const char	*hostname;	/* borrowed */
	struct listens	*listens;	/* owned */
	size_t		 nlistens;
	struct network	*networks;	/* owned: local_addresses */
	size_t		 nnetworks;
	struct network	*reach;		/* owned: smtp_networks */
	size_t		 nreach;
};

#define SMTP_PORT 25		/* where the world would come in, whatever stands before us */

static void
take_networks(const struct setting_list *l, struct network *out, size_t *n)
{
	char why[256];

	for (*n = 0; *n < l->n; ++*n)
		if (!network_parse(text(l->item[*n]), &out[*n], why, sizeof why))
			must(!"a network that setting_is_network took");
}

struct self *
self_new(const struct smtp_client_settings *s)
{
	struct self *self = mem_alloc(sizeof *self);
	static const struct address any6;
	char why[256];

	self->hostname = s->hostname;
	self->listens = mem_array(s->listen_smtp.n + 1, sizeof *self->listens);
	self->networks = mem_array(s->local_addresses.n + 1, sizeof *self->networks);
	for (size_t i = 0; i < s->listen_smtp.n; i++) {
		struct listens *l = &self->listens[self->nlistens];
		struct sockaddr_storage sa;
		socklen_t size;

		if (!listen_parse(text(s->listen_smtp.item[i]), &sa, &size, why, sizeof why)
		    || !address_of_socket(&sa, &l->address, &l->port))
			must(!"an address that setting_is_listen took");
		l->any = memcmp(&l->address, &any6, 16) == 0
		    || (address_is_ipv4(&l->address) && memcmp(l->address.octet + 12, &any6, 4) == 0);
		self->nlistens++;
	}
	take_networks(&s->local_addresses, self->networks, &self->nnetworks);
	self->reach = mem_array(s->networks.n + 1, sizeof *self->reach);
	take_networks(&s->networks, self->reach, &self->nreach);
	return self;
}

void
self_free(struct self **self)
{
	if (!*self)
		return;
	mem_free((*self)->listens);
	mem_free((*self)->networks);
	mem_free((*self)->reach);
	mem_free(*self);
	*self = NULL;
}

/* What the kernel would put into a packet for it as its source; false and errno: there would be no packet. To connect a
 * datagram socket sends nothing. */
static bool
source_for(const struct address *a, struct address *source)
{
	struct sockaddr_storage sa;
	socklen_t size = address_socket(a, 9, &sa);
	uint16_t port;
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0), failed;
	bool good;

	if (fd == -1)
		return false;
	good = connect(fd, (struct sockaddr *)&sa, size) == 0;
	size = sizeof sa;
	good = good && getsockname(fd, (struct sockaddr *)&sa, &size) == 0 && address_of_socket(&sa, source, &port);
	failed = errno;
	close(fd);
	errno = failed;
	return good;
}

/* A packet to an address of one's own comes from that very address. */
static bool
is_own(const struct address *a)
{
	struct address source;

	return address_is_loopback(a) || (source_for(a, &source) && memcmp(a, &source, sizeof source) == 0);
}

bool
self_has_route(const struct address *a)
{
	struct address source;

	return source_for(a, &source) || (errno != ENETUNREACH && errno != EHOSTUNREACH && errno != EADDRNOTAVAIL
	    && errno != EAFNOSUPPORT);
}

static bool
is_our_port(const struct self *self, uint16_t port)
{
	for (size_t i = 0; i < self->nlistens; i++)
		if (self->listens[i].port == port)
			return true;
	return false;
}

bool
self_is_here(const struct self *self, const struct address *a, uint16_t port, bool named)
{
	for (size_t i = 0; i < self->nlistens; i++) {
		const struct listens *l = &self->listens[i];

		if (l->port != port || address_is_ipv4(&l->address) != address_is_ipv4(a))
			continue;
		if (memcmp(&l->address, a, sizeof *a) == 0 || (l->any && is_own(a)))
			return true;
	}
	if (named || (port != SMTP_PORT && !is_our_port(self, port)))
		return false;
	for (size_t i = 0; i < self->nnetworks; i++)
		if (network_has(&self->networks[i], a))
			return true;
	return false;
}

bool
self_may_go(const struct self *self, const struct address *a)
{
	for (size_t i = 0; i < self->nreach; i++)
		if (network_has(&self->reach[i], a))
			return true;
	return self->nreach == 0;
}

bool
self_is_name(const struct self *self, struct bytes name, uint16_t port)
{
	return bytes_case_eq(name, text(self->hostname)) && (port == SMTP_PORT || is_our_port(self, port));
}

/* SPDX-License-Identifier: ISC */
/* One octet for the type, then the rdata. */
#include "base/mem.h"
#include "proto/dns_rdata.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What is fit for a host's name can be asked for, and is the same again. */
static void
check_host(struct bytes name, struct arena *a)
{
	struct buf wire;
	struct bytes rest, back;
	bool odd;

	if (name.n == 0)
		return;
	buf_init(&wire, DNS_NAME_WIRE_MAX + 1);
	must(name.n <= 253 && dns_name_encode(name, &wire));
	rest = buf_bytes(&wire);
	must(dns_name_decode(&rest, a, &back, &odd) && !odd && rest.n == 0 && bytes_eq(back, name));
	buf_fini(&wire);
}

static void
check_name(struct bytes name)
{
	must(name.n <= 4 * DNS_NAME_WIRE_MAX);
	for (size_t i = 0; i < name.n; i++)
		must(name.p[i] > ' ' && name.p[i] < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	enum dns_type type;
	struct dns_record r;
	struct arena *a;
	struct buf wire;

	if (n == 0)
		return 0;
	a = arena_new(1 << 20);
	if (dns_type_known(p[0], &type) && dns_rdata_parse(type, bytes_of(p + 1, n - 1), a, &r)) {
		switch (type) {
		case DNS_NS: case DNS_PTR: check_host(r.name, a); break;
		case DNS_MX:	check_host(r.mx.name, a); break;
		case DNS_SRV:	check_host(r.srv.name, a); break;
		case DNS_CNAME:	check_name(r.name); break;
		case DNS_SOA:	check_name(r.soa.mname); check_name(r.soa.rname); break;
		case DNS_TXT:	must(r.text.n < n); break;
		case DNS_TLSA:	must(r.tlsa.data.n == n - 4); break;
		case DNS_A: case DNS_AAAA: break;
		}
	}
	buf_init(&wire, DNS_NAME_WIRE_MAX + 1);
	if (dns_name_encode(bytes_of(p, n), &wire))
		must(wire.n <= DNS_NAME_WIRE_MAX);
	buf_fini(&wire);
	arena_free(&a);
	return 0;
}

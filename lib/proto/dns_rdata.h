/* SPDX-License-Identifier: ISC */
/*
 * proto/dns_rdata.h - what a DNS record says, out of its wire format: RFC 1035 section 3.3, RFC 3596 (AAAA), RFC 2782
 * (SRV), RFC 6698 section 2.1 (TLSA), RFC 7505 (null MX).
 *
 * Pure, and bounded by the record: no length inside it is believed (CVE-2002-0906, CVE-2008-2469, CVE-2023-42119).
 * Names in rdata are uncompressed here; proto/dns_message.h makes them so. A name comes out as text without the
 * last dot, lower-case; where it names a host, a label of anything but letters, digits, hyphen and underscore makes
 * the record unfit, so that no octet of it surprises whoever prints or compares it (CVE-2026-40684).
 */
#ifndef PROTO_DNS_RDATA_H
#define PROTO_DNS_RDATA_H

#include "base/arena.h"
#include "base/buf.h"

/* Numbers are IANA's. */
enum dns_type {
	DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16, DNS_AAAA = 28,
	DNS_SRV = 33, DNS_TLSA = 52,
};

/* What became of a question. Zero, the forgotten case, is not sure: never a reason for a permanent refusal. */
enum dns_result {
	DNS_FAILED,	/* nobody answered, or with an error */
	DNS_FOUND,
	DNS_NO_DATA,	/* the name is there, with no record of this type */
	DNS_NO_NAME,	/* there is no such name, nor one below it (RFC 8020) */
	DNS_BOGUS,	/* DNSSEC says that the answer is forged or spoilt: as unsure as DNS_FAILED, and never insecure */
};

#define DNS_NAME_WIRE_MAX	255	/* octets of a name in wire format, RFC 1035 section 2.3.4 */
#define DNS_LABEL_MAX		63
#define DNS_RDATA_MAX		65535

struct dns_mx { uint16_t preference; struct bytes name; };	/* name empty: null MX, no mail is taken here (RFC 7505) */
struct dns_srv { uint16_t priority, weight, port; struct bytes name; };	/* name empty: no such service */
struct dns_tlsa { uint8_t usage, selector, matching; struct bytes data; };
struct dns_soa { struct bytes mname, rname; uint32_t serial, refresh_s, retry_s, expire_s, minimum_s; };

struct dns_record {
	enum dns_type	type;
	union {
		unsigned char	address[16];	/* A, AAAA; an IPv4 address IPv4-mapped, RFC 4291 section 2.5.5.2 */
		struct bytes	name;		/* NS, CNAME, PTR */
		struct bytes	text;		/* TXT: its strings joined without anything between (RFC 7208 section 3.3);
						 * any octet may be in it */
		struct dns_mx	mx;
		struct dns_srv	srv;
		struct dns_tlsa	tlsa;
		struct dns_soa	soa;
	};
};

/* One rdata. False: it is not a record of that type, or names what no host can be called. Texts and data are in the
 * arena, which needs room for four times the rdata and a little. */
bool		 dns_rdata_parse(enum dns_type type, struct bytes rdata, struct arena *a, struct dns_record *out);

/* The number as a type we know; false: another one. */
bool		 dns_type_known(uint32_t number, enum dns_type *out);
bool		 dns_type_parse(struct bytes word, enum dns_type *out);	/* "mx" */
const char	*dns_type_name(enum dns_type type);			/* "MX" */
const char	*dns_result_name(enum dns_result result);		/* "no data" */

/*
 * A name, from text to wire: at most 253 octets in labels of 1 to 63, letters, digits, hyphen, underscore; also "/",
 * which is in names of reverse zones (RFC 2317 section 4), and "*" . One dot at the end is fine, "." is the root.
 * Lower-cased. False: no such name can be asked for.
 */
bool		 dns_name_encode(struct bytes text, struct buf *out);
/* Takes an uncompressed name off the front of *wire. Any octets: what is not fit for a host's name comes out as \DDD
 * (RFC 1035 section 5.1), and sets *odd. False: not a name. The root is empty. */
bool		 dns_name_decode(struct bytes *wire, struct arena *a, struct bytes *out, bool *odd);

#endif

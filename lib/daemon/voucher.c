/* SPDX-License-Identifier: ISC */
#include "daemon/voucher.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/file.h"
#include "base/little.h"
#include "base/log.h"
#include "base/mem.h"

int
voucher_key_make(void)
{
	int fd = memfd_create("voucher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	unsigned char key[VOUCHER_KEY];

	random_fill(key, sizeof key);
	if (fd != -1 && (!file_write(fd, bytes_of(key, sizeof key))
	    || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) == -1))
		fd_close(&fd);
	explicit_bzero(key, sizeof key);
	return fd;
}

void
voucher_key_take(struct daemon *d, struct voucher_key *k)
{
	int fd = daemon_file(d, "voucher");

	*k = (struct voucher_key){ .there = fd != -1 };
	if (fd == -1)
		return;
	if (pread(fd, k->octets, sizeof k->octets, 0) != sizeof k->octets)
		log_fatal("the key of vouchers cannot be read");
	daemon_file_close(d, "voucher");
}

static void
sign(const struct voucher_key *k, const unsigned char when[8], struct bytes words, unsigned char out[32])
{
	struct buf b;
	unsigned n = 0;

	buf_init(&b, 8 + words.n);
	buf_add(&b, bytes_of(when, 8));
	buf_add(&b, words);
	must(!b.full && HMAC(EVP_sha256(), k->octets, VOUCHER_KEY, b.p, b.n, out, &n) != NULL && n == 32);
	buf_fini(&b);
}

struct bytes
voucher_make(const struct voucher_key *k, struct bytes words, uint64_t now_ms, unsigned char room[VOUCHER_OCTETS])
{
	if (!k->there)
		return text(NULL);
	little_put_u64(room, now_ms);
	sign(k, room, words, room + 8);
	return bytes_of(room, VOUCHER_OCTETS);
}

bool
voucher_holds(const struct voucher_key *k, struct bytes words, struct bytes voucher, uint64_t now_ms)
{
	unsigned char want[32];
	uint64_t when_ms;

	if (!k->there || voucher.n != VOUCHER_OCTETS)
		return false;
	sign(k, voucher.p, words, want);
	if (CRYPTO_memcmp(want, voucher.p + 8, sizeof want) != 0)
		return false;
	when_ms = little_u64(voucher.p);
	return when_ms <= now_ms && now_ms - when_ms <= VOUCHER_MS;
}

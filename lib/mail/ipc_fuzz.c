/* SPDX-License-Identifier: ISC */
/* A frame as a process gets it: u32 type, u32 id, body. */
#include "base/mem.h"
#include "mail/ipc.h"

#define MSG(m)		static void get_##m(struct ipc_in *in)			\
			{ struct ipc_##m msg; struct ipc_out out;		\
			  struct bytes body = in->rest;				\
			  if (!ipc_get_##m(in, &msg)) return;			\
			  ipc_out_init(&out); ipc_put_##m(&out, 1, &msg);	\
			  must(bytes_eq(ipc_out_body(&out), body)); ipc_out_fini(&out); }
#define TEXT(f, max)
#define U32(f)
#define U64(f)
#define FD(f)
#define END(m)
#include "mail/messages.def"
#undef MSG

static void (*const get[IPC_TYPES])(struct ipc_in *) = {
#define MSG(m) [IPC_##m] = get_##m,
#include "mail/messages.def"
};

int	LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int
LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct ipc_in in = { .type = n > 0 ? p[0] % IPC_TYPES : 0 };
	struct bytes run;
	struct buf said;
	bool bad = false;

	if (n < 8 || n > IPC_FRAME_MAX || in.type == IPC_NONE)
		return 0;
	in.rest = run = bytes_of(p + 8, n - 8);
	buf_init(&said, 1 << 20);
	ipc_print(in, &said);
	buf_fini(&said);
	get[in.type](&in);		/* what is taken is put back the same */
	while (run.n > 0)
		ipc_cut_text(&run, &bad);
	return 0;
}

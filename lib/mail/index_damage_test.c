/* SPDX-License-Identifier: ISC */
/* The index where its files are damaged, calls fail, and processes are killed. */
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/fault.h"
#include "base/little.h"
#include "base/mem.h"
#include "mail/index_testing.h"
#include "mail/ledger.h"

/* ---- damage ---- */

static void
damage(struct buf *b, const struct buf *good, size_t at, int how)
{
	static const unsigned char more[200] = "more";

	buf_clear(b);
	buf_add(b, buf_bytes(good));
	switch (how) {
	case 0:
		b->p[at] ^= (unsigned char)(1u << at / 64 % 8);
		break;
	case 1:
		memset(b->p + at, 0, b->n - at < 64 ? b->n - at : 64);
		break;
	case 2:
		b->n = at;
		break;
	case 3:
		buf_add(b, bytes_of(more, at % sizeof more + 1));
	}
}

/* As it was, or nothing; what data there is, is right. Data can be had by name again. */
static void
check_damaged(uint32_t n)
{
	struct index *x = opened();
	struct index_mail m, want;
	struct finds f;

	if (index_count(x) != 0) {
		assert_int_equal(index_count(x), n);
		for (uint32_t i = 0; i < n; i++) {
			want = mail(i + 1);
			assert_true(index_get(x, i, &m));
			check_mail(&m, &want);
			(void)has_data(x, m.data, m.uid, 0);
		}
	} else {
		check_dropped(x, TOLD);
	}
	f = finds_of(x);
	for (uint32_t uid = 1; uid <= n; uid++)
		(void)has_data(x, f.at[uid], uid, 0);
	index_free(&x);
}

static void
test_damage(void **state)
{
	static const char *const names[] = { "m.index", "m.data" };
	struct index *x = opened();
	struct buf good[2], bad;
	struct finds f;

	(void)state;
	add(x, 1, 60);
	for (uint32_t uid = 1; uid <= 60; uid++)
		add_data(x, uid, 0);
	f = finds_of(x);
	put_finds(x, &f);
	index_free(&x);
	buf_init(&bad, 1 << 20);
	for (int i = 0; i < 2; i++)
		slurp(names[i], &good[i]);
	for (int i = 0; i < 2; i++)
		for (size_t at = 0; at < good[i].n; at += 64)
			for (int how = 0; how < 4; how++) {
				struct stat st;

				/* Both of this very inode, for it may have been replaced. */
				overwrite("m.index", buf_bytes(&good[0]));
				overwrite("m.data", buf_bytes(&good[1]));
				fstatat(dir, "m.index", &st, 0);
				little_put_u64(good[0].p + 16, st.st_ino);
				little_put_u32(good[0].p + 252, crc32_of(0, bytes_of(good[0].p, 248)));
				overwrite("m.index", buf_bytes(&good[0]));
				damage(&bad, &good[i], at, how);
				overwrite(names[i], buf_bytes(&bad));
				check_damaged(60);
			}
	overwrite("m.index", buf_bytes(&good[0]));
	overwrite("m.data", buf_bytes(&good[1]));
	x = opened();
	assert_int_equal(index_count(x), 60);		/* the test itself damages nothing */
	index_free(&x);
	buf_fini(&bad);
	for (int i = 0; i < 2; i++)
		buf_fini(&good[i]);
}

#ifdef HERMOD_FAULTS

/* A session, from a new mailbox to one of which most is gone. It never notices what fails, but for data that
 * it has to make again. */
static void
session(void)
{
	struct index *x = opened();
	struct index_mail m;
	struct finds f;

	add(x, 1, 900);
	for (uint32_t uid = 1; uid <= 900; uid++)
		(void)add_data(x, uid, 3000);
	f = finds_of(x);
	put_finds(x, &f);
	index_load(x, VALIDITY, TOLD);
	index_begin(x);
	for (size_t i = 0; i < 800; i++)
		index_remove(x, i);
	index_end(x);
	x->retry_ms = x->append_ms = 0;
	index_load(x, VALIDITY, TOLD);
	x->shorten_ms = 0;
	index_load(x, VALIDITY, TOLD);
	must(index_count(x) == 100);
	for (size_t i = 0; i < 100; i++) {
		must(index_get(x, i, &m) && m.uid == 801 + i && m.modseq == 2801 + i);
		(void)has_data(x, m.data, m.uid, 3000);
	}
	index_free(&x);
}

/* Whatever call fails, once or from then on, and wherever a process is killed. */
static void
test_failing_calls(void **state)
{
	static const char *const calls[] = { "openat", "pwrite", "mmap", "renameat", "unlinkat", "close" };
	static const char *const ways[] = { "ENOSPC", "kill", "short" };
	enum { TIMES = 14 };

	(void)state;
	for (size_t n = 0; n < LEN(calls) * LEN(ways) * TIMES * 2; n++) {
		size_t call = n / 2 / TIMES / LEN(ways), way = n / 2 / TIMES % LEN(ways);
		struct index_mail m;
		struct index *x;
		char fault[64];
		pid_t pid;
		int status;

		if (way == 2 && strcmp(calls[call], "pwrite") != 0)
			continue;
		snprintf(fault, sizeof fault, "index_damage_test:%s:%zu%s:%s", calls[call], n / 2 % TIMES + 1, n % 2 ? "+" : "",
		    ways[way]);
		pid = fork();
		if (pid == 0) {
			setenv("HERMOD_FAULT", fault, 1);
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
			fault_open("index_damage_test");
			session();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (status != 0 && !(way == 1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
			fail_msg("%s: status %d", fault, status);
		x = opened();
		assert_true(index_shared(x));
		for (size_t i = 0; i < index_count(x); i++) {
			struct index_mail want;

			assert_true(index_get(x, i, &m));
			want = mail(m.uid);
			check_mail(&m, &want);
			(void)has_data(x, m.data, m.uid, 3000);
		}
		index_free(&x);
		unlinkat(dir, "m.index", 0);
		unlinkat(dir, "m.data", 0);
	}
}

#endif

/* ---- several processes, killed at any time ---- */

#define WORKERS		3
#define KILLS		120
#define MAILS		400

struct snapshot { uint32_t n; struct index_mail mail[MAILS]; };

struct model {				/* shared; changed under the ledger's lock */
	struct snapshot	state[2];
	int		now;		/* which of them holds */
	bool		changing;	/* the other one may hold, if who changed it died */
	uint32_t	next_uid;
	uint64_t	told;		/* the highest mod-sequence that anybody was told */
	unsigned	drops, rounds;
};

static struct model *model;

static bool
agrees(struct index *x, const struct snapshot *s)
{
	struct index_mail m;

	if (index_count(x) != s->n)
		return false;
	for (uint32_t i = 0; i < s->n; i++)
		if (!index_get(x, i, &m) || m.uid != s->mail[i].uid || m.flags != s->mail[i].flags
		    || m.modseq != s->mail[i].modseq)
			return false;
	return true;
}

/* What the next mod-sequence is, which may be told from now on. */
static uint64_t
next_modseq(struct index *x, struct ledger *l)
{
	uint64_t next = index_highest(x) + 1;

	must(ledger_modseq_reserve(l, next));
	return next;
}

/* Dropped: all is added again, with mod-sequences that nobody was told. */
static void
fill_again(struct index *x, struct ledger *l)
{
	struct snapshot *s = &model->state[model->now], *new = &model->state[!model->now];

	must(index_highest(x) >= model->told);
	model->drops++;
	*new = *s;
	model->changing = true;
	index_begin(x);
	for (uint32_t i = 0; i < new->n; i++) {
		new->mail[i].modseq = next_modseq(x, l);
		new->mail[i].data = 0;
		must(index_add(x, &new->mail[i]));
	}
	index_end(x);
	model->now = !model->now;
	model->changing = false;
}

static void
recover(struct index *x, struct ledger *l)
{
	if (model->changing && agrees(x, &model->state[!model->now]))
		model->now = !model->now;
	model->changing = false;
	if (!agrees(x, &model->state[model->now])) {
		must(index_count(x) == 0);
		fill_again(x, l);
	}
}

static void
change(struct index *x, struct ledger *l)
{
	struct snapshot *new = &model->state[!model->now];
	uint32_t kept = 0;

	*new = model->state[model->now];
	model->changing = true;
	index_begin(x);
	for (uint32_t i = 0; i < new->n; i++) {
		if (rand() % 20 == 0) {
			new->mail[i].flags = (uint32_t)rand();
			new->mail[i].modseq = next_modseq(x, l);
			index_put(x, i, &new->mail[i]);
		}
		if (rand() % 1000 == 0)		/* be killed here */
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		if (rand() % 40 == 0)
			index_remove(x, i);
		else
			new->mail[kept++] = new->mail[i];
	}
	new->n = kept;
	for (int i = rand() % 12; i > 0 && new->n < MAILS; i--) {
		struct index_mail *m = &new->mail[new->n++];

		*m = mail(model->next_uid++);
		m->modseq = next_modseq(x, l);
		must(index_add(x, m));
	}
	index_end(x);
	model->now = !model->now;
	model->changing = false;
	model->told = index_highest(x);
}

struct looking { struct index *x; };

static void
put_find(void *arg, struct bytes name, uint64_t at)
{
	struct index *x = ((struct looking *)arg)->x;
	uint32_t uid = uid_of(name);
	size_t i = index_find(x, uid);
	struct index_mail m;

	if (!index_get(x, i, &m) || m.uid != uid)
		return;
	m.data = at;
	index_put(x, i, &m);
}

static void
look_at_data(struct index *x)
{
	struct looking l = { x };
	struct index_mail m;

	index_begin(x);
	index_data_fresh(x, put_find, &l);
	index_end(x);
	for (size_t i = 0; i < index_count(x); i++) {
		must(index_get(x, i, &m));
		if (!has_data(x, m.data, m.uid, m.uid % 7 * 1000) && rand() % 4 == 0)
			(void)add_data(x, m.uid, m.uid % 7 * 1000);
	}
}

static void
work(unsigned seed)
{
	struct ledger *l = ledger_new(dir, "m", "test");
	struct index *x = index_new(dir, "m", "test");

	srand(seed);
	for (;;) {
		must(ledger_lock(l, 60000) && ledger_load(l) && ledger_keep(l));
		index_load(x, ledger_uidvalidity(l), ledger_modseq_told(l));
		must(index_shared(x));
		recover(x, l);
		for (int i = rand() % 4; i > 0; i--) {
			change(x, l);
			model->rounds++;
		}
		look_at_data(x);
		ledger_unlock(l);
	}
}

static pid_t
start(unsigned seed)
{
	pid_t pid = fork();

	if (pid == 0) {
		work(seed);
		_exit(0);
	}
	return pid;
}

static void
test_processes(void **state)
{
	unsigned seed = (unsigned)clock_wall_us();
	pid_t pid[WORKERS];
	struct ledger *l;
	struct index *x;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	model = mmap(NULL, sizeof *model, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(model, MAP_FAILED);
	model->next_uid = 1;
	for (int i = 0; i < WORKERS; i++)
		pid[i] = start(seed + (unsigned)i);
	for (int kills = 0; kills < KILLS; kills++) {
		struct timespec t = { .tv_nsec = rand() % 20000000 };
		int i = rand() % WORKERS, status;

		nanosleep(&t, NULL);
		kill(pid[i], SIGKILL);
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);	/* and nothing before it */
		pid[i] = start(seed + 100 + (unsigned)kills);
	}
	for (int i = 0; i < WORKERS; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	l = ledger_new(dir, "m", "test");
	assert_true(ledger_lock(l, 1000) && ledger_load(l) && ledger_keep(l));
	x = index_new(dir, "m", "test");
	index_load(x, ledger_uidvalidity(l), ledger_modseq_told(l));
	recover(x, l);
	look_at_data(x);
	print_message("%u rounds, %u drops\n", model->rounds, model->drops);
	assert_true(model->rounds > 0 && model->drops <= KILLS + WORKERS);
	index_free(&x);
	ledger_free(&l);
	munmap(model, sizeof *model);
}

int
main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		T(test_damage), T(test_processes),
#ifdef HERMOD_FAULTS
		T(test_failing_calls),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include <crypt.h>

#include "base/testing.h"
#include "directory/directory.h"

static const struct { const char *hash; bool bearable; } hashes[] = {
	{ "$6$salt$x", true }, { "$5$salt$x", true },
	{ "$6$rounds=656000$salt$x", true },
	{ "$6$rounds=2000000$salt$x", true },
	{ "$6$rounds=2000001$salt$x", false },
	{ "$6$rounds=999999999$salt$x", false }, { "$5$rounds=999999999$salt$x", false },
	{ "$6$rounds=99999999999999999999999$salt$x", false },
	{ "$6$rounds=5000", false },
	{ "$6$rounds=-1$salt", false },
	{ "$2b$10$x", true }, { "$2y$14$x", true }, { "$2a$15$x", false }, { "$2b$31$x", false }, { "$2x$1", false },
	{ "$y$j9T$x", true }, { "$y$jDT$x", true }, { "$y$jET$x", false }, { "$y$jKT$x", false }, { "$gy$jFT$x", false },
	{ "$y$j9z$x", false }, { "$y$j9T.$x", false }, { "$y$/9T$x", false }, { "$y$", false }, { "$y$j", false },
	{ "$7$CU..../....x", true }, { "$7$FU..../....x", false }, { "$7$Cz..../....x", false }, { "$7$CU..../zzzzx", false }, { "$7$", false },
	{ "$sha1$40000$x", true }, { "$sha1$4000000000$x", false },
	{ "$md5$x", true }, { "$md5,rounds=5000$x", true }, { "$md5,rounds=4000000000$x", false },
	{ "_zzzzsalt", false },
	{ "$1$salt$x", true }, { "abJnggxhB/yWI", true }, { "", true }, { "*", true }, { "!", true }, { "$", true },
};

static void
test_hashes(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEN(hashes); i++)
		assert_row_int(hashes[i].hash, hash_is_bearable(text(hashes[i].hash)), hashes[i].bearable);
}

/* As this host makes them when nothing is asked for. */
static void
test_usual(void **state)
{
	static const char *const prefixes[] = { "$y$", "$gy$", "$7$", "$2b$", "$6$", "$5$", "$sha1", "$md5", "$1$" };

	(void)state;
	for (size_t i = 0; i < LEN(prefixes); i++) {
		char setting[CRYPT_GENSALT_OUTPUT_SIZE];

		if (crypt_gensalt_rn(prefixes[i], 0, NULL, 0, setting, sizeof setting))
			assert_row_int(setting, hash_is_bearable(text(setting)), true);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes),
		cmocka_unit_test(test_usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: ISC */
#include "base/mem.h"
#include "mail/folder_name.h"

int	LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* Nothing of a path leads elsewhere: no empty component, none of the names that are taken. */
static void
check_path(enum folder_layout layout, struct bytes path)
{
	struct bytes rest = path;

	if (bytes_eq(path, text(".")))
		return;
	must(path.n > 0 && path.p[0] != '/' && path.p[path.n - 1] != '/');
	must(layout != FOLDERS_MAILDIRPP || (path.p[0] == '.' && path.n > 1 && path.p[1] != '.'
	    && bytes_find(path, '/') == path.n));
	while (rest.n > 0) {
		struct bytes c = bytes_cut(&rest, '/');

		must(c.n > 0 && c.n <= FOLDER_COMPONENT_MAX);
		must(layout != FOLDERS_FS || (c.p[0] != '.' && !bytes_eq(c, text("cur"))
		    && !bytes_eq(c, text("new")) && !bytes_eq(c, text("tmp"))));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct bytes input = bytes_of(p, n);
	struct buf name, again;
	char path[FOLDER_PATH_MAX];

	for (enum folder_layout l = FOLDERS_MAILDIRPP; l <= FOLDERS_FS; l++) {
		buf_init(&name, FOLDER_NAME_MAX);
		buf_init(&again, FOLDER_NAME_MAX);
		if (folder_name_normal(input, &name) && folder_path(l, buf_bytes(&name), path)) {
			check_path(l, text(path));
			must(folder_of_path(l, text(path), &again) && bytes_eq(buf_bytes(&again), buf_bytes(&name)));
		}
		buf_clear(&name);
		if (folder_of_path(l, input, &name)) {
			must(folder_path(l, buf_bytes(&name), path) && bytes_eq(text(path), input));
			check_path(l, input);
		}
		buf_fini(&name);
		buf_fini(&again);
	}
	return 0;
}

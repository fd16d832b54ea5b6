/* The less common ways to give and take names.
 *
 *     names exchange A B      both exist and change places
 *     names whiteout OLD NEW  leaves a device behind that hides OLD in lower layers
 *     names tmpfile FOLDER NEW   a file without a name gets one
 *     names rmdir FOLDER      unlinkat as rmdir
 *     names change FOLDER     a call of each kind on what is in it
 */
#include "evade.h"

#ifndef RENAME_EXCHANGE
#define RENAME_EXCHANGE 2
#define RENAME_WHITEOUT 4
#endif

int main(int argc, char **argv)
{
	const char *act = argc > 2 ? argv[1] : "";
	const char *second = argc > 3 ? argv[3] : "";
	if (strcmp(act, "exchange") == 0) {
		must(syscall(SYS_renameat2, AT_FDCWD, argv[2], AT_FDCWD, second, RENAME_EXCHANGE) == 0, act);
	} else if (strcmp(act, "whiteout") == 0) {
		must(syscall(SYS_renameat2, AT_FDCWD, argv[2], AT_FDCWD, second, RENAME_WHITEOUT) == 0, act);
	} else if (strcmp(act, "tmpfile") == 0) {
		int fd = open(argv[2], O_TMPFILE | O_WRONLY, 0600);
		must(fd >= 0, "O_TMPFILE");
		must(linkat(fd, "", AT_FDCWD, second, AT_EMPTY_PATH) == 0, "linkat");
	} else if (strcmp(act, "rmdir") == 0) {
		must(unlinkat(AT_FDCWD, argv[2], AT_REMOVEDIR) == 0, act);
	} else if (strcmp(act, "change") == 0) {
		char name[4][4096];
		for (int i = 0; i < 4; i++)
			snprintf(name[i], sizeof name[i], "%s/%c", argv[2], "abcd"[i]);
		must(unlink(name[0]) == 0, "unlink");
		must(rename(name[1], name[3]) == 0, "rename");
		must(mkdir(name[1], 0700) == 0, "mkdir");
		must(chmod(name[2], 0600) == 0, "chmod");
		must(truncate(name[2], 0) == 0, "truncate");
	} else {
		return 2;
	}
	return 0;
}

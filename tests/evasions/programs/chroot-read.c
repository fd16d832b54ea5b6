/* Leaves the paths that others see behind: another root directory, then a name relative to it.
 *
 *     chroot-read ROOT NAME
 *     chroot-read ROOT NAME PLACE    by pivot_root, with PLACE to mount what was the root on
 */
#include "evade.h"
#include <sched.h>
#include <sys/mount.h>

static void pivot(const char *root, const char *place)
{
	must(unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
	/* The first of all mounts, which a guest has as its root, cannot be left. */
	must(mount("/", place, NULL, MS_BIND | MS_REC, NULL) == 0, place);
	must(chroot(place) == 0, "chroot");
	must(chdir("/") == 0, "chdir");
	must(mount(root, root, NULL, MS_BIND, NULL) == 0, root);
	must(chdir(root) == 0, "chdir");
	must(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
	must(umount2(".", MNT_DETACH) == 0, "umount");
}

int main(int argc, char **argv)
{
	if (argc != 3 && argc != 4)
		return 2;
	if (argc == 4)
		pivot(argv[1], argv[3]);
	else
		must(chroot(argv[1]) == 0, "chroot");
	must(chdir("/") == 0, "chdir");
	must(open(argv[2], O_RDONLY) >= 0, "open");
	return 0;
}

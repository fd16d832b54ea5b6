/* Leaves the paths that others see behind: another root directory, then a name relative to it.
 *
 *     chroot-read ROOT NAME
 */
#include "evade.h"

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	must(chroot(argv[1]) == 0, "chroot");
	must(chdir("/") == 0, "chdir");
	must(open(argv[2], O_RDONLY) >= 0, "open");
	return 0;
}

/* Passes a path that lies in a page which is not in memory when the call begins: a reader that
 * must not sleep finds nothing there.
 *
 *     pageout FILE-WITH-THE-PATH
 */
#include "evade.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	int fd = open(argv[1], O_RDONLY);
	must(fd >= 0, argv[1]);
	char *path = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	must(path != MAP_FAILED, "mmap");
	/* Out of this process's tables, and out of the cache where there is a disk behind. */
	madvise(path, 4096, MADV_DONTNEED);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	must(open(path, O_RDONLY) >= 0, "open");
	return 0;
}

/* Changes a file without write(2), or without a descriptor that was opened for writing.
 *
 *     rewrite map FILE      through memory
 *     rewrite reopen FILE   O_PATH, then /proc/self/fd
 */
#include "evade.h"
#include <sys/mman.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	if (strcmp(argv[1], "map") == 0) {
		int fd = open(argv[2], O_RDWR);
		must(fd >= 0, argv[2]);
		char *text = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		must(text != MAP_FAILED, "mmap");
		close(fd);
		text[0] = 'X';
		return 0;
	}
	int fd = open(argv[2], O_PATH);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int again = open(path, O_WRONLY);
	must(again >= 0 && write(again, "X", 1) == 1, path);
	return 0;
}

/* Runs a program that no name leads to.
 *
 *     fileless memfd PROGRAM [ARGUMENT]...   a copy in anonymous memory
 *     fileless deleted PROGRAM [ARGUMENT]... the file itself, whose name is removed first
 */
#include "evade.h"
#include <sys/mman.h>
#include <sys/sendfile.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int file = open(argv[2], O_RDONLY | O_CLOEXEC);
	must(file >= 0, argv[2]);
	if (strcmp(argv[1], "memfd") == 0) {
		int copy = memfd_create("copy", MFD_CLOEXEC);
		while (sendfile(copy, file, NULL, 1 << 20) > 0)
			;
		file = copy;
	} else {
		must(unlink(argv[2]) == 0, "unlink");
	}
	syscall(SYS_execveat, file, "", argv + 2, environ, AT_EMPTY_PATH);
	must(0, "execveat");
}

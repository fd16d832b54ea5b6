/* Runs a program out of a file system that is mounted nowhere, under a path that is another's.
 *
 *     nowhere PROGRAM PATH [ARGUMENT]...    PATH without its first slash
 */
#include "evade.h"
#include <linux/mount.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	int context = syscall(SYS_fsopen, "tmpfs", 0);
	must(context >= 0, "fsopen");
	must(syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0, "fsconfig");
	int tree = syscall(SYS_fsmount, context, 0, 0);
	must(tree >= 0, "fsmount");
	for (char *slash = strchr(argv[2], '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		must(mkdirat(tree, argv[2], 0755) == 0, "mkdirat");
		*slash = '/';
	}
	int from = open(argv[1], O_RDONLY), to = openat(tree, argv[2], O_CREAT | O_WRONLY, 0755);
	must(from >= 0 && to >= 0, argv[1]);
	char bytes[65536];
	for (ssize_t size; (size = read(from, bytes, sizeof bytes)) > 0;)
		must(write(to, bytes, size) == size, "write");
	close(to);
	close(from);
	syscall(SYS_execveat, tree, argv[2], argv + 2, NULL, 0);
	must(0, "execveat");
}

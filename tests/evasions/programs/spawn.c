/* Starts processes as fast as it can, each after the end of the one before.
 *
 *     spawn NUMBER                          forks alone
 *     spawn NUMBER PROGRAM [ARGUMENT]...    each runs the program
 */
#include "evade.h"
#include <spawn.h>
#include <sys/wait.h>

static long left;

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	for (left = atol(argv[1]); left > 0; left--) {
		pid_t child;
		if (argc > 2) {
			must((errno = posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ)) == 0, argv[2]);
		} else {
			child = vfork();
			must(child >= 0, "vfork");
			if (child == 0)
				_exit(0);
		}
		must(waitpid(child, NULL, 0) == child, "waitpid");
	}
	return 0;
}

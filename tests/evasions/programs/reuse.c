/* Reuses the number of a process that ended: the first runs a program, the second, a fork of this
 * one under the same number, opens a file.
 *
 *     reuse PROGRAM FILE
 */
#include "evade.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	pid_t first = fork();
	must(first >= 0, "fork");
	if (first == 0) {
		execl(argv[1], argv[1], NULL);
		_exit(1);
	}
	must(waitpid(first, NULL, 0) == first, "waitpid");
	struct clone_args arguments = { .exit_signal = SIGCHLD };
	arguments.set_tid = (uintptr_t)&first;
	arguments.set_tid_size = 1;
	long second = syscall(SYS_clone3, &arguments, sizeof arguments);
	must(second >= 0, "clone3");
	if (second == 0)
		_exit(open(argv[2], O_RDONLY) >= 0 ? 0 : 1);
	int status;
	must(waitpid(second, &status, 0) == first && status == 0, "second");
	printf("fact pid %d\n", first);
	return 0;
}

/* Forks a process straight into another cgroup (CLONE_INTO_CGROUP) and runs a program there.
 *
 *     into-cgroup FOLDER-OF-THE-CGROUP PROGRAM [ARGUMENT]...
 */
#include "evade.h"
#include <linux/sched.h>
#include <signal.h>
#include <sys/wait.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct clone_args arguments = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	arguments.cgroup = open(argv[1], O_RDONLY | O_DIRECTORY);
	long child = syscall(SYS_clone3, &arguments, sizeof arguments);
	must(child >= 0, "clone3");
	if (child == 0) {
		execv(argv[2], argv + 2);
		_exit(1);
	}
	int status;
	must(waitpid(child, &status, 0) == child && status == 0, "child");
	return 0;
}

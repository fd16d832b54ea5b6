/* Changes the memory of another process, its child, in one of three ways; the child tells by its
 * exit status whether it was changed.
 *
 *     inject ptrace | vm | mem
 *     inject attach PID     only holds another process for a moment, by ptrace
 */
#include "evade.h"
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

static volatile long word;

static int attach(pid_t target)
{
	printf("fact target %d\n", target);
	must(ptrace(PTRACE_ATTACH, target, NULL, NULL) == 0, "ptrace");
	/* One of its threads, which no wait for children of another kind tells of. */
	must(waitpid(target, NULL, __WALL) == target, "wait");
	must(ptrace(PTRACE_DETACH, target, NULL, NULL) == 0, "detach");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return attach(atoi(argv[2]));
	if (argc != 2)
		return 2;
	pid_t child = fork();
	if (child == 0) {
		for (int tries = 0; tries < 2000 && word == 0; tries++)
			usleep(10000);
		_exit(word == 42 ? 0 : 1);
	}
	long value = 42;
	if (strcmp(argv[1], "ptrace") == 0) {
		must(ptrace(PTRACE_ATTACH, child, NULL, NULL) == 0, "ptrace");
		waitpid(child, NULL, 0);
		must(ptrace(PTRACE_POKEDATA, child, (void *)&word, value) == 0, "poke");
		must(ptrace(PTRACE_DETACH, child, NULL, NULL) == 0, "detach");
	} else if (strcmp(argv[1], "vm") == 0) {
		struct iovec here = { &value, sizeof value }, there = { (void *)&word, sizeof word };
		must(process_vm_writev(child, &here, 1, &there, 1, 0) == sizeof value, "process_vm_writev");
	} else {
		char path[64];
		snprintf(path, sizeof path, "/proc/%d/mem", child);
		int memory = open(path, O_RDWR);
		must(pwrite(memory, &value, sizeof value, (off_t)(uintptr_t)&word) == sizeof value, path);
	}
	printf("fact target %d\n", child);
	int status;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

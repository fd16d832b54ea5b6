/* Lets an open wait until what a monitor remembers of it is pushed out by others.
 *
 *     lease FILE PIPE PROGRAM [ARGUMENT...]
 *
 * Takes a lease on FILE and runs PROGRAM, which opens that: the open waits for the lease, behind all
 * checks. Meanwhile thousands of opens of PIPE fail as late, each with an open file at an address of
 * its own; on each processor, for each keeps its latest apart. Then the lease is given up.
 */
#include "evade.h"
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Of a map of 4096, on a processor. */
enum { CROWD = 8000, PROCESSORS = 4 };

static void crowd(const char *pipe)
{
	for (int i = 0; i < CROWD; i++) {
		/* Nobody reads. */
		must(open(pipe, O_WRONLY | O_NONBLOCK) < 0 && errno == ENXIO, "open");
		/* Takes the address of the file that failed, without a descriptor. */
		void *taken = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		must(taken != MAP_FAILED, "mmap");
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	/* The default for the signal about a broken lease is to end the program. */
	signal(SIGIO, SIG_IGN);
	int file = open(argv[1], O_RDONLY | O_CLOEXEC);
	must(file >= 0 && fcntl(file, F_SETLEASE, F_WRLCK) == 0, "lease");
	pid_t child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		execvp(argv[3], argv + 3);
		_exit(127);
	}
	while (fcntl(file, F_GETLEASE) == F_WRLCK)
		usleep(1000);
	for (int number = 0; number < PROCESSORS; number++) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(number, &one);
		if (sched_setaffinity(0, sizeof one, &one) == 0)
			crowd(argv[2]);
	}
	must(fcntl(file, F_SETLEASE, F_UNLCK) == 0, "end of lease");
	int status;
	must(waitpid(child, &status, 0) == child, "waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

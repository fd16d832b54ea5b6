/* The loops that `cargo xtask bench` times. Slices of work are timed one by one, and each is a
 * line on standard output, "OPERATIONS NANOSECONDS", so that a moment of somebody else's work
 * spoils a slice and not a figure.
 *
 *   loops NAME SLICES SLICE_MS [RATE]   RATE: operations a second instead of as many as possible
 *   loops needle TAG                    opens /etc/shadow, prints the time right before (ns)
 *   loops pause                         waits for a signal
 *   loops nothing                       ends at once
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int zero, listener;
static struct sockaddr_in address;
static char *self;

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void must(int fine, const char *what)
{
	if (!fine) {
		perror(what);
		exit(1);
	}
}

static void do_getppid(void)
{
	syscall(SYS_getppid);
}

static void do_read(void)
{
	char byte;
	must(read(zero, &byte, 1) == 1, "read");
}

static void do_open(void)
{
	int fd = open("/usr/lib/os-release", O_RDONLY | O_CLOEXEC);
	must(fd >= 0, "open");
	close(fd);
}

static void do_exec(void)
{
	char *arguments[] = {self, "nothing", NULL};
	pid_t child = fork();
	must(child >= 0, "fork");
	if (child == 0) {
		execv(self, arguments);
		_exit(1);
	}
	int status = 1;
	must(waitpid(child, &status, 0) == child && status == 0, "exec");
}

static void do_connect(void)
{
	/* Reset at the end: no port waits, so none runs out. */
	struct linger reset = {1, 0};
	int client = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
	must(connect(client, (struct sockaddr *)&address, sizeof address) == 0, "connect");
	int server = accept(listener, NULL, NULL);
	must(server >= 0, "accept");
	close(client);
	close(server);
}

static void prepare(void)
{
	socklen_t size = sizeof address;
	zero = open("/dev/zero", O_RDONLY);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
	must(listen(listener, 16) == 0, "listen");
	getsockname(listener, (struct sockaddr *)&address, &size);
}

/* Waits until so many operations are due. */
static void keep_pace(uint64_t start, uint64_t done, uint64_t rate)
{
	uint64_t due = start + (uint64_t)(done * (1e9 / rate));
	struct timespec t = {due / 1000000000, due % 1000000000};
	if (due > now() + 100000)
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static void slices(void (*work)(void), int batch, long count, uint64_t length, uint64_t rate)
{
	uint64_t first = now(), total = 0;
	while (count-- > 0) {
		uint64_t start = now(), end = start, done = 0;
		while (end < start + length) {
			for (int i = 0; i < batch; i++)
				work();
			done += batch;
			if (rate)
				keep_pace(first, total + done, rate);
			end = now();
		}
		total += done;
		printf("%llu %llu\n", (unsigned long long)done, (unsigned long long)(end - start));
		fflush(stdout);
	}
}

static int needle(void)
{
	uint64_t time = now();
	must(open("/etc/shadow", O_RDONLY) >= 0, "needle");
	printf("%llu\n", (unsigned long long)time);
	return 0;
}

int main(int count, char **words)
{
	static const struct {
		const char *name;
		void (*work)(void);
		int batch;
	} all[] = {
		{"getppid", do_getppid, 1000}, {"read", do_read, 1000}, {"open", do_open, 50},
		{"exec", do_exec, 1},	       {"connect", do_connect, 5},
	};
	const char *name = count > 1 ? words[1] : "";
	if (!strcmp(name, "nothing"))
		return 0;
	if (!strcmp(name, "pause"))
		return pause();
	if (!strcmp(name, "needle"))
		return needle();
	self = words[0];
	for (unsigned i = 0; count > 3 && i < sizeof all / sizeof *all; i++) {
		if (strcmp(name, all[i].name))
			continue;
		prepare();
		slices(all[i].work, all[i].batch, atol(words[2]), atol(words[3]) * 1000000ull,
		       count > 4 ? atol(words[4]) : 0);
		return 0;
	}
	fprintf(stderr, "usage: loops NAME SLICES SLICE_MS [RATE]\n");
	return 2;
}

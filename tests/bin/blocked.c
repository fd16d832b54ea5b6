/* Threads that wait within a call, more than the kernel programs have room to take notes for; then a
 * call of the same kind, which is what matters. When the threads are gone, another one.
 *
 *     blocked connect|send|accept THREADS
 *
 * Says "full" and "empty", and waits for a line behind each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static int must(int result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

/* What all wait for, and what they are told by. */
static struct sockaddr_storage crowded;
static socklen_t crowded_len;
static int family, listener, *sockets;
static long call;

static struct sockaddr_in local(int port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = { htonl(INADDR_LOOPBACK) },
	};
	return address;
}

static int serve(int port)
{
	int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket"), on = 1;
	struct sockaddr_in address = local(port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	must(bind(fd, (struct sockaddr *)&address, sizeof address), "bind");
	must(listen(fd, 0), "listen");
	return fd;
}

/* The socket of a name that no file has. */
static int named(const char *name, struct sockaddr_storage *of, socklen_t *len)
{
	struct sockaddr_un *address = (struct sockaddr_un *)of;
	int fd = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path + 1, name);
	*len = 3 + strlen(name);
	must(bind(fd, (struct sockaddr *)address, *len), "bind");
	return fd;
}

static int blocks(int fd)
{
	if (call == SYS_connect)
		return connect(fd, (struct sockaddr *)&crowded, crowded_len);
	if (call == SYS_sendto)
		return sendto(fd, "x", 1, MSG_NOSIGNAL, (struct sockaddr *)&crowded, crowded_len);
	return accept(listener, NULL, NULL);
}

static void *wait_within(void *fd)
{
	*(int *)fd = blocks(*(int *)fd);
	return NULL;
}

/* Waits until all threads but this one are within the call. */
static void all_within(void)
{
	char path[64], line[64];
	FILE *tasks = popen("exec 2>&-; ls /proc/$PPID/task", "r");
	while (fgets(line, sizeof line, tasks)) {
		if (atoi(line) == getpid())
			continue;
		snprintf(path, sizeof path, "/proc/self/task/%d/syscall", atoi(line));
		do {
			FILE *file = fopen(path, "r");
			if (!file || !fgets(line, sizeof line, file))
				line[0] = 0;
			if (file)
				fclose(file);
		} while (atol(line) != call);
	}
	pclose(tasks);
}

static void matters(int number)
{
	if (call == SYS_sendto) {
		struct sockaddr_storage to;
		socklen_t len;
		char name[32];
		snprintf(name, sizeof name, "e2e-blocked-%d", number);
		int fd = named(name, &to, &len);
		must(sendto(fd, "x", 1, 0, (struct sockaddr *)&to, len), "sendto");
		close(fd);
		return;
	}
	/* Nobody serves the one that is connected to. */
	struct sockaddr_in to = local(43470 + number);
	int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
	if (call == SYS_connect) {
		if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
			must(-1, "somebody serves");
		return;
	}
	int server = serve(43470 + number);
	must(connect(fd, (struct sockaddr *)&to, sizeof to), "connect");
	must(accept(server, NULL, NULL), "accept");
	close(server);
}

static void say(const char *what)
{
	char line[16];
	puts(what);
	fflush(stdout);
	if (!fgets(line, sizeof line, stdin))
		exit(2);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	int count = atoi(argv[2]);
	struct rlimit limit = { count + 100, count + 100 };
	must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	sockets = calloc(count, sizeof *sockets);
	pthread_t *threads = calloc(count, sizeof *threads);
	if (strcmp(argv[1], "send") == 0) {
		call = SYS_sendto;
		listener = named("e2e-blocked", &crowded, &crowded_len);
		family = AF_UNIX;
		int fd = must(socket(AF_UNIX, SOCK_DGRAM, 0), "socket");
		while (sendto(fd, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&crowded, crowded_len) == 1)
			;
	} else {
		call = strcmp(argv[1], "connect") == 0 ? SYS_connect : SYS_accept;
		listener = serve(43470);
		family = AF_INET;
		*(struct sockaddr_in *)&crowded = local(43470);
		crowded_len = sizeof(struct sockaddr_in);
		/* One fills the queue. */
		int fd = must(socket(AF_INET, SOCK_STREAM, 0), "socket");
		if (call == SYS_connect)
			must(connect(fd, (struct sockaddr *)&crowded, crowded_len), "connect");
	}
	int type = family == AF_UNIX ? SOCK_DGRAM : SOCK_STREAM;
	pthread_attr_t small;
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	int *own = calloc(count, sizeof *own);
	for (int i = 0; i < count; i++) {
		own[i] = sockets[i] = call == SYS_accept ? -1 : must(socket(family, type, 0), "socket");
		errno = pthread_create(&threads[i], &small, wait_within, &own[i]);
		must(-errno, "pthread_create");
	}
	all_within();
	matters(1);
	say("full");
	/* What they wait for goes away. */
	shutdown(listener, SHUT_RDWR);
	close(listener);
	for (int i = 0; call == SYS_connect && i < count; i++)
		shutdown(sockets[i], SHUT_RDWR);
	for (int i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		if (own[i] >= 0) {
			fputs("a call did not fail\n", stderr);
			return 1;
		}
	}
	say("empty");
	matters(2);
	return 0;
}

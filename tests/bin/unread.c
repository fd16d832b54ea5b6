/* A process whose memory nobody can read: it holds the lock of it for ever. It maps over a changed
 * page of a file, which is written back first, and the file system is its own (FUSE) and never
 * says that it has written.
 *
 *     unread FILE SECRET
 *
 * FILE is what its file system is mounted on. At a line it opens SECRET by another thread, and says
 * "done"; at the end of its input it lets go and ends.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE = 4096 };

static const char *secret;
static pid_t server;

static void must(int done, const char *what)
{
	if (!done) {
		perror(what);
		exit(1);
	}
}

static void answer(int fuse, uint64_t unique, int error, const void *body, size_t length)
{
	char message[2 * PAGE];
	struct fuse_out_header head = { .len = sizeof head + length, .error = error, .unique = unique };
	memcpy(message, &head, sizeof head);
	memcpy(message + sizeof head, body, length);
	must(write(fuse, message, head.len) == head.len, "an answer");
}

/* A file system that is one file, of zeros, and is never done with writing it. */
static void serve(int fuse)
{
	static char request[1 << 17], zeros[PAGE];
	struct fuse_in_header head;
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = PAGE };
	struct fuse_attr_out attributes = { .attr = { .ino = 1, .size = PAGE, .mode = S_IFREG | 0644, .nlink = 1 } };
	struct fuse_open_out opened = { 0 };
	while (read(fuse, request, sizeof request) > 0) {
		memcpy(&head, request, sizeof head);
		if (head.opcode == FUSE_INIT)
			answer(fuse, head.unique, 0, &init, sizeof init);
		else if (head.opcode == FUSE_GETATTR)
			answer(fuse, head.unique, 0, &attributes, sizeof attributes);
		else if (head.opcode == FUSE_OPEN)
			answer(fuse, head.unique, 0, &opened, sizeof opened);
		else if (head.opcode == FUSE_READ)
			answer(fuse, head.unique, 0, zeros, sizeof zeros);
		else if (head.opcode != FUSE_WRITE)
			answer(fuse, head.unique, -ENOSYS, "", 0);
	}
	exit(0);
}

/* Asks for no memory that is not there yet: it could not be had any more. */
static void *act(void *unused)
{
	char line[16];
	while (read(0, line, sizeof line) > 0)
		if (open(secret, O_RDONLY) < 0 || write(1, "done\n", 5) != 5)
			break;
	kill(server, SIGKILL);
	return unused;
}

int main(int argc, char **argv)
{
	char options[64];
	struct stat status;
	if (argc != 3)
		return 2;
	secret = argv[2];
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	must(fuse >= 0, "/dev/fuse");
	snprintf(options, sizeof options, "fd=%d,rootmode=100644,user_id=0,group_id=0", fuse);
	must(mount("unread", argv[1], "fuse", 0, options) == 0, argv[1]);
	pid_t here = getpid();
	server = fork();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() == here)
			serve(fuse);
		exit(0);
	}
	close(fuse);
	int slow = open(argv[1], O_RDWR);
	must(slow >= 0, argv[1]);
	umount2(argv[1], MNT_DETACH);
	/* Asks for its size. */
	must(fstat(slow, &status) == 0, "fstat");
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, slow, 0);
	must(page != MAP_FAILED, "mmap");
	page[0] = 'x';
	pthread_t other;
	must(pthread_create(&other, NULL, act, NULL) == 0, "pthread_create");
	must(mlockall(MCL_CURRENT) == 0, "mlockall");
	mmap(page, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	return 0;
}

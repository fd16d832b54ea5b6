/* TOCTOU on names: one thread removes or renames a file while another flips the last byte of its
 * path between two files. Tells how often the first of them was it.
 *
 *     race-names unlink | rename FOLDER ROUNDS      (FOLDER/a is the one, FOLDER/b the other)
 */
#include "evade.h"
#include <pthread.h>

static char path[4096];
static size_t last;
static volatile int done;

static void *flip(void *unused)
{
	for (unsigned i = 0; !done; i++)
		((volatile char *)path)[last] = "ab"[i & 1];
	return unused;
}

static void make(const char *name)
{
	int fd = open(name, O_CREAT | O_WRONLY, 0600);
	must(fd >= 0, name);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 4 || strlen(argv[2]) > sizeof path - 8)
		return 2;
	int renames = strcmp(argv[1], "rename") == 0;
	char first[4096], second[4096], moved[4096];
	sprintf(first, "%s/a", argv[2]);
	sprintf(second, "%s/b", argv[2]);
	sprintf(moved, "%s/c", argv[2]);
	strcpy(path, first);
	last = strlen(path) - 1;
	pthread_t thread;
	must(pthread_create(&thread, NULL, flip, NULL) == 0, "pthread_create");
	long hits = 0;
	long rounds = atol(argv[3]);
	for (long round = 0; goes_on(round, rounds, hits); round++) {
		make(first);
		make(second);
		must((renames ? rename(path, moved) : unlink(path)) == 0, argv[1]);
		hits += access(first, F_OK) != 0;
	}
	done = 1;
	pthread_join(thread, NULL);
	printf("fact hits %ld\n", hits);
	return 0;
}

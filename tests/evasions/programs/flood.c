/* Two threads for each processor open and close a file as fast as they can, for some seconds or
 * until another file is there.
 *
 *     flood FILE SECONDS [UNTIL]
 */
#include "evade.h"
#include <pthread.h>

static const char *file;
static volatile int done;

static void *storm(void *unused)
{
	while (!done)
		close(open(file, O_RDONLY));
	return unused;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	file = argv[1];
	long threads = 2 * sysconf(_SC_NPROCESSORS_ONLN);
	while (threads-- > 0) {
		pthread_t thread;
		must(pthread_create(&thread, NULL, storm, NULL) == 0, "pthread_create");
	}
	for (int left = 10 * atoi(argv[2]); left > 0; left--) {
		if (argc > 3 && access(argv[3], F_OK) == 0)
			break;
		usleep(100000);
	}
	done = 1;
	return 0;
}

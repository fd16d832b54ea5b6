/* Hands on what a file says through memory that two processes share.
 *
 *     shared sysv | posix put FILE     makes the memory and leaves a line of the file in it
 *     shared sysv | posix get FILE     finds the line there, and removes the memory
 */
#include "evade.h"
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>

enum { KEY = 0x65766164, SIZE = 4096 };
static const char name[] = "/evade-shared";

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int puts = strcmp(argv[2], "put") == 0, sysv = strcmp(argv[1], "sysv") == 0;
	char *memory;
	if (sysv) {
		int id = shmget(KEY, SIZE, puts ? IPC_CREAT | 0600 : 0);
		must(id >= 0, "shmget");
		memory = shmat(id, NULL, 0);
		if (!puts)
			shmctl(id, IPC_RMID, NULL);
	} else {
		int fd = shm_open(name, puts ? O_CREAT | O_RDWR : O_RDWR, 0600);
		must(fd >= 0 && (!puts || ftruncate(fd, SIZE) == 0), "shm_open");
		memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (!puts)
			shm_unlink(name);
	}
	must(memory != (char *)-1, "memory");
	if (!puts)
		return memory[0] ? 0 : 1;
	must(read(open(argv[3], O_RDONLY), memory, 100) > 0, argv[3]);
	return 0;
}

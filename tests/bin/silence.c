/* Silences a ring of the daemon's: by moving its reader's position back, it makes the kernel take the
 * ring for full, so that what programs have to tell is dropped.
 *
 *     silence MAP-ID BYTES
 *
 * Says "silent" when it is so, which lasts until the end of its input.
 */
#define _GNU_SOURCE
#include <linux/bpf.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static void must(int done, const char *what)
{
	if (!done) {
		perror(what);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	union bpf_attr attr;
	long page = sysconf(_SC_PAGESIZE);

	if (argc != 3)
		return 2;
	memset(&attr, 0, sizeof attr);
	attr.map_id = strtoul(argv[1], NULL, 10);
	uint64_t size = strtoull(argv[2], NULL, 10);
	int ring = syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr);
	must(ring >= 0, "BPF_MAP_GET_FD_BY_ID");
	uint64_t *read = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, ring, 0);
	must(read != MAP_FAILED, "the reader's position");
	uint64_t *written = mmap(NULL, page, PROT_READ, MAP_SHARED, ring, page);
	must(written != MAP_FAILED, "the writers' position");
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	/* The reader puts it right as soon as it has read something. */
	for (int count = 0; poll(&input, 1, 1) == 0; count++) {
		uint64_t end = __atomic_load_n(written, __ATOMIC_ACQUIRE);
		__atomic_store_n(read, end - size, __ATOMIC_RELEASE);
		if (count == 100) {
			puts("silent");
			fflush(stdout);
		}
	}
	__atomic_store_n(read, __atomic_load_n(written, __ATOMIC_ACQUIRE), __ATOMIC_RELEASE);
	return 0;
}

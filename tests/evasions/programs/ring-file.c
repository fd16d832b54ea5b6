/* Sends an open file from one ring of io_uring to another (IORING_OP_MSG_RING), whose process reads
 * it there: it never is in a table of files.
 *
 *     ring-file FILE CGROUP     the one who reads is in this cgroup
 */
#include "evade.h"
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/wait.h>

/* Of headers that are newer than some. */
enum { MSG_RING = 40, SEND_FD = 1 };

struct ring {
	struct io_uring_params setup;
	int fd;
	char *queues;
	struct io_uring_sqe *entries;
};

/* With places for one file. */
static void start(struct ring *ring)
{
	ring->fd = syscall(SYS_io_uring_setup, 4, &ring->setup);
	must(ring->fd >= 0, "io_uring_setup");
	struct io_uring_params *setup = &ring->setup;
	size_t sq = setup->sq_off.array + setup->sq_entries * sizeof(unsigned);
	size_t cq = setup->cq_off.cqes + setup->cq_entries * sizeof(struct io_uring_cqe);
	ring->queues = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			    ring->fd, IORING_OFF_SQ_RING);
	must(ring->queues != MAP_FAILED && setup->features & IORING_FEAT_SINGLE_MMAP, "queues");
	ring->entries = mmap(NULL, setup->sq_entries * sizeof *ring->entries, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQES);
	must(ring->entries != MAP_FAILED, "entries");
}

static void files(struct ring *ring, int file)
{
	must(syscall(SYS_io_uring_register, ring->fd, IORING_REGISTER_FILES, &file, 1) == 0, "files");
}

/* Hands one operation in, and gives the result of what comes first. */
static int operate(struct ring *ring, struct io_uring_sqe entry)
{
	unsigned *tail = (unsigned *)(ring->queues + ring->setup.sq_off.tail);
	unsigned *mask = (unsigned *)(ring->queues + ring->setup.sq_off.ring_mask);
	unsigned *array = (unsigned *)(ring->queues + ring->setup.sq_off.array);
	ring->entries[*tail & *mask] = entry;
	array[*tail & *mask] = *tail & *mask;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	must(syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1, "enter");
	unsigned *head = (unsigned *)(ring->queues + ring->setup.cq_off.head);
	struct io_uring_cqe *all = (struct io_uring_cqe *)(ring->queues + ring->setup.cq_off.cqes);
	int result = all[*head & *(unsigned *)(ring->queues + ring->setup.cq_off.ring_mask)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	errno = -result;
	return result;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct ring here = { 0 }, there = { 0 };
	start(&there);
	files(&there, -1);
	int sent[2];
	must(pipe(sent) == 0, "pipe");
	pid_t child = fork();
	if (child == 0) {
		char path[4096], go, line[8] = { 0 };
		snprintf(path, sizeof path, "%s/cgroup.procs", argv[2]);
		int procs = open(path, O_WRONLY);
		must(procs >= 0 && write(procs, "0", 1) == 1, path);
		close(sent[1]);
		if (read(sent[0], &go, 1) != 1)
			return 1;
		/* Its first event is that the file came. */
		operate(&there, (struct io_uring_sqe){ .opcode = IORING_OP_NOP });
		must(operate(&there, (struct io_uring_sqe){ .opcode = IORING_OP_READ, .flags = IOSQE_FIXED_FILE,
			.addr = (uintptr_t)line, .len = sizeof line }) >= 0, "read");
		usleep(1000);
		/* That of the NOP may be in front of what was read. */
		return line[0] ? 0 : 1;
	}
	int file = open(argv[1], O_RDONLY);
	must(file >= 0, argv[1]);
	start(&here);
	files(&here, file);
	int result = operate(&here, (struct io_uring_sqe){ .opcode = MSG_RING, .fd = there.fd,
		.addr = SEND_FD, .addr3 = 0, .file_index = 1 });
	if (result == -EINVAL) {
		puts("this kernel's rings send no files");
		return NOT_HERE;
	}
	must(result >= 0, "send");
	must(write(sent[1], "x", 1) == 1, "pipe");
	int status;
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

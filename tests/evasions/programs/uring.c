/* Does things through io_uring, by raw system calls: none of the operations is a system call.
 *
 *     uring [--sqpoll | --async] open PATH | unlink PATH | mkdir PATH | rename OLD NEW | symlink TARGET PATH
 *     uring [--sqpoll] connect PORT | send PORT | fast-open PORT
 *
 * With --sqpoll a thread of the kernel takes the operation up, without io_uring_enter; with --async
 * one of the program's own, which may wait, does it.
 */
#include "evade.h"
#include <arpa/inet.h>
#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>

static struct io_uring_params setup;
static int ring, async;
static char *queues;
static struct io_uring_sqe *entries;

static unsigned *at(unsigned offset)
{
	return (unsigned *)(queues + offset);
}

static void start(int sqpoll)
{
	setup.flags = sqpoll ? IORING_SETUP_SQPOLL : 0;
	setup.sq_thread_idle = 2000;
	ring = syscall(SYS_io_uring_setup, 4, &setup);
	must(ring >= 0, "io_uring_setup");
	size_t sq = setup.sq_off.array + setup.sq_entries * sizeof(unsigned);
	size_t cq = setup.cq_off.cqes + setup.cq_entries * sizeof(struct io_uring_cqe);
	queues = mmap(NULL, sq > cq ? sq : cq, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring,
		      IORING_OFF_SQ_RING);
	must(queues != MAP_FAILED && setup.features & IORING_FEAT_SINGLE_MMAP, "queues");
	entries = mmap(NULL, setup.sq_entries * sizeof *entries, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQES);
	must(entries != MAP_FAILED, "entries");
}

/* Hands one operation in and gives its result. */
static int operate(struct io_uring_sqe entry)
{
	unsigned tail = *at(setup.sq_off.tail);
	unsigned slot = tail & *at(setup.sq_off.ring_mask);
	entries[slot] = entry;
	entries[slot].flags = async ? IOSQE_ASYNC : 0;
	at(setup.sq_off.array)[slot] = slot;
	__atomic_store_n(at(setup.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	unsigned flags = IORING_ENTER_GETEVENTS, submit = 1;
	if (setup.flags & IORING_SETUP_SQPOLL) {
		submit = 0;
		if (__atomic_load_n(at(setup.sq_off.flags), __ATOMIC_ACQUIRE) & IORING_SQ_NEED_WAKEUP)
			flags |= IORING_ENTER_SQ_WAKEUP;
	}
	must(syscall(SYS_io_uring_enter, ring, submit, 1, flags, NULL, 0) >= 0, "io_uring_enter");
	unsigned head = *at(setup.cq_off.head);
	while (__atomic_load_n(at(setup.cq_off.tail), __ATOMIC_ACQUIRE) == head)
		usleep(1000);
	struct io_uring_cqe *all = (struct io_uring_cqe *)(queues + setup.cq_off.cqes);
	int result = all[head & *at(setup.cq_off.ring_mask)].res;
	__atomic_store_n(at(setup.cq_off.head), head + 1, __ATOMIC_RELEASE);
	errno = -result;
	return result;
}

static struct sockaddr_in local(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return address;
}

static struct io_uring_sqe two_names(int operation, const char *first, const char *second)
{
	return (struct io_uring_sqe){ .opcode = operation, .fd = AT_FDCWD, .len = AT_FDCWD,
				      .addr = (uintptr_t)first, .addr2 = (uintptr_t)second };
}

int main(int argc, char **argv)
{
	int sqpoll = argc > 1 && strcmp(argv[1], "--sqpoll") == 0;
	async = argc > 1 && strcmp(argv[1], "--async") == 0;
	argv += 1 + (sqpoll || async);
	argc -= 1 + (sqpoll || async);
	if (argc < 2)
		return 2;
	const char *act = argv[0], *name = argv[1], *other = argc > 2 ? argv[2] : "";
	start(sqpoll);
	int result = -EINVAL;
	if (strcmp(act, "open") == 0) {
		result = operate((struct io_uring_sqe){ .opcode = IORING_OP_OPENAT, .fd = AT_FDCWD,
			.addr = (uintptr_t)name, .open_flags = O_RDONLY });
	} else if (strcmp(act, "unlink") == 0) {
		result = operate((struct io_uring_sqe){ .opcode = IORING_OP_UNLINKAT, .fd = AT_FDCWD,
			.addr = (uintptr_t)name });
	} else if (strcmp(act, "mkdir") == 0) {
		result = operate((struct io_uring_sqe){ .opcode = IORING_OP_MKDIRAT, .fd = AT_FDCWD,
			.addr = (uintptr_t)name, .len = 0700 });
	} else if (strcmp(act, "rename") == 0) {
		result = operate(two_names(IORING_OP_RENAMEAT, name, other));
	} else if (strcmp(act, "symlink") == 0) {
		struct io_uring_sqe entry = two_names(IORING_OP_SYMLINKAT, name, other);
		entry.len = 0;
		result = operate(entry);
	} else if (strcmp(act, "connect") == 0) {
		struct sockaddr_in address = local(name);
		result = operate((struct io_uring_sqe){ .opcode = IORING_OP_CONNECT,
			.fd = socket(AF_INET, SOCK_STREAM, 0), .addr = (uintptr_t)&address,
			.off = sizeof address });
		/* Nobody listens, which the kernel found out by trying. */
		result = result == -ECONNREFUSED ? 0 : result;
	} else if (strcmp(act, "send") == 0 || strcmp(act, "fast-open") == 0) {
		int fast = strcmp(act, "fast-open") == 0;
		struct sockaddr_in address = local(name);
		struct iovec data = { "x", 1 };
		struct msghdr message = { .msg_name = &address, .msg_namelen = sizeof address,
			.msg_iov = &data, .msg_iovlen = 1 };
		result = operate((struct io_uring_sqe){ .opcode = IORING_OP_SENDMSG,
			.fd = socket(AF_INET, fast ? SOCK_STREAM : SOCK_DGRAM, 0),
			.addr = (uintptr_t)&message, .len = 1, .msg_flags = fast ? MSG_FASTOPEN : 0 });
		/* Data that connects does so in the background. */
		result = fast && (result == -EINPROGRESS || result == -ECONNREFUSED) ? 0 : result;
	}
	must(result >= 0, act);
	return 0;
}

// Does what programs do with files and sockets, but through io_uring: each operation by a request
// of its own, whose result is printed.
//
// usage: uring MODE FOLDER PORT, where MODE is `plain`, `async` (workers of the kernel do it),
// `sqpoll` (a thread of the kernel fetches the requests) or `silent` (no completion of successes).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// Operations that the headers of some distributions lack.
enum { OP_SEND_ZC = 47, OP_SENDMSG_ZC = 48, OP_FTRUNCATE = 55, OP_BIND = 56, OP_LISTEN = 57 };

struct how { unsigned long flags, mode, resolve; };

static int ring, sqpoll;
static unsigned char flags;
static char *queue;
static struct io_uring_params params;
static struct io_uring_sqe *entries;

static unsigned *word(unsigned offset) { return (unsigned *)(queue + offset); }

static void start(void) {
  if (sqpoll) {
    params.flags = IORING_SETUP_SQPOLL;
    params.sq_thread_idle = 100;
  }
  ring = syscall(SYS_io_uring_setup, 4, &params);
  if (ring < 0 || !(params.features & IORING_FEAT_SINGLE_MMAP)) {
    perror("io_uring_setup");
    exit(1);
  }
  size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
  int how = PROT_READ | PROT_WRITE;
  queue = mmap(0, size, how, MAP_SHARED, ring, IORING_OFF_SQ_RING);
  size = params.sq_entries * sizeof *entries;
  entries = mmap(0, size, how, MAP_SHARED, ring, IORING_OFF_SQES);
}

// Hands in a request and waits for its result.
static int ask(const char *name, struct io_uring_sqe request) {
  unsigned *tail = word(params.sq_off.tail);
  unsigned at = *tail & *word(params.sq_off.ring_mask);
  request.flags |= flags;
  entries[at] = request;
  word(params.sq_off.array)[at] = at;
  __atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
  // A thread that sleeps is woken; one that does not takes no harm.
  unsigned enter = IORING_ENTER_GETEVENTS | (sqpoll ? IORING_ENTER_SQ_WAKEUP : 0);
  int wait = !(flags & IOSQE_CQE_SKIP_SUCCESS);
  if (syscall(SYS_io_uring_enter, ring, sqpoll ? 0 : 1, wait, enter, 0, 0) < 0) {
    perror("io_uring_enter");
    exit(1);
  }
  unsigned *head = word(params.cq_off.head);
  if (*head == __atomic_load_n(word(params.cq_off.tail), __ATOMIC_ACQUIRE)) {
    printf("%s silent\n", name);
    return 0;
  }
  struct io_uring_cqe *results = (void *)(queue + params.cq_off.cqes);
  struct io_uring_cqe done = results[*head & *word(params.cq_off.ring_mask)];
  int result = done.res;
  __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
  // What sends without copying says once more when the memory is its sender's again.
  if (done.flags & IORING_CQE_F_MORE) {
    syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, 0, 0);
    __atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
  }
  printf("%s %d\n", name, result);
  return result;
}

#define ASK(code, ...) ask(#code, (struct io_uring_sqe){.opcode = code, __VA_ARGS__})
#define AT(pointer) .addr = (unsigned long)(pointer)
#define AND(pointer) .addr2 = (unsigned long)(pointer)

static void names(void) {
  int here = open(".", O_RDONLY | O_DIRECTORY);
  struct how how = {.flags = O_RDONLY};
  ASK(IORING_OP_MKDIRAT, .fd = AT_FDCWD, AT("made"), .len = 0700);
  int file = ASK(IORING_OP_OPENAT, .fd = here, AT("made/../file"), .len = 0640,
                 .open_flags = O_RDWR | O_CREAT);
  ASK(OP_FTRUNCATE, .fd = file, .off = 7);
  // A file system without attributes refuses them.
  ASK(IORING_OP_SETXATTR, AT("user.e2e"), AND("ab"), .len = 2, .addr3 = (unsigned long)"file");
  ASK(IORING_OP_FSETXATTR, .fd = file, AT("user.two"), AND("abc"), .len = 3);
  // Into a slot of the ring, which is no descriptor.
  syscall(SYS_io_uring_register, ring, IORING_REGISTER_FILES, &(int){-1}, 1);
  ASK(IORING_OP_OPENAT, .fd = here, AT("file"), .open_flags = O_WRONLY, .file_index = 1);
  ASK(IORING_OP_SYMLINKAT, .fd = here, AT("file"), AND("alias"));
  ASK(IORING_OP_OPENAT, .fd = AT_FDCWD, AT("alias"), .open_flags = O_RDONLY);
  ASK(IORING_OP_OPENAT2, .fd = here, AT("absent"), AND(&how), .len = sizeof how);
  ASK(IORING_OP_LINKAT, .fd = here, AT("file"), .len = AT_FDCWD, AND("second"));
  ASK(IORING_OP_RENAMEAT, .fd = here, AT("second"), .len = AT_FDCWD, AND("third"),
      .rename_flags = RENAME_NOREPLACE);
  ASK(IORING_OP_UNLINKAT, .fd = here, AT("third"));
  ASK(IORING_OP_UNLINKAT, .fd = AT_FDCWD, AT("made"), .unlink_flags = AT_REMOVEDIR);
}

static void sockets(int port) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  struct iovec bytes = {"hello", 5};
  struct msghdr message = {
      .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &bytes, .msg_iovlen = 1};
  int server = ASK(IORING_OP_SOCKET, .fd = AF_INET, .off = SOCK_STREAM);
  setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
  // What an older kernel does not know is done by a call.
  if (ASK(OP_BIND, .fd = server, AT(&to), .addr2 = sizeof to) == -EINVAL)
    bind(server, (void *)&to, sizeof to);
  if (ASK(OP_LISTEN, .fd = server, .len = 9) == -EINVAL) listen(server, 9);
  int client = socket(AF_INET, SOCK_STREAM, 0);
  ASK(IORING_OP_CONNECT, .fd = client, AT(&to), .off = sizeof to);
  int peer = ASK(IORING_OP_ACCEPT, .fd = server, .accept_flags = SOCK_CLOEXEC);
  char room[8];
  struct iovec there = {room, sizeof room};
  struct msghdr received = {.msg_iov = &there, .msg_iovlen = 1};
  if (write(client, "hi", 2) == 2) ASK(IORING_OP_RECV, .fd = peer, AT(room), .len = sizeof room);
  if (write(client, "ho!", 3) == 3) ASK(IORING_OP_RECVMSG, .fd = peer, AT(&received));
  int datagrams = socket(AF_INET, SOCK_DGRAM, 0);
  ASK(OP_SENDMSG_ZC, .fd = datagrams, AT(&message));
  ASK(OP_SEND_ZC, .fd = datagrams, AT("zero"), .len = 4, AND(&to), .splice_fd_in = sizeof to);
  ASK(IORING_OP_SENDMSG, .fd = datagrams, AT(&message));
  ASK(IORING_OP_SEND, .fd = datagrams, AT("hello"), .len = 5, AND(&to),
      .splice_fd_in = sizeof to);
}

int main(int count, char **arguments) {
  if (count != 4 || chdir(arguments[2])) return 2;
  sqpoll = !strcmp(arguments[1], "sqpoll");
  if (!strcmp(arguments[1], "async")) flags = IOSQE_ASYNC;
  setlinebuf(stdout);
  alarm(20);
  start();
  if (!strcmp(arguments[1], "silent")) {
    close(open("quiet", O_CREAT | O_WRONLY, 0600));
    flags = IOSQE_CQE_SKIP_SUCCESS;
    ASK(IORING_OP_UNLINKAT, .fd = AT_FDCWD, AT("quiet"));
    return 0;
  }
  names();
  sockets(atoi(arguments[3]));
  return 0;
}

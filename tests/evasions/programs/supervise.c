/* The supervisor of a seccomp filter puts an open file into the process that the filter is for, which
 * then reads it: it comes as the result of a call that opens nothing.
 *
 *     supervise add | replace FILE CGROUP     the process is in this cgroup; `replace` puts the file
 *                                             in the place of another
 */
#include "evade.h"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Of the child's table, for `replace`. */
enum { REPLACED = 40 };

static volatile int *listener;

static void filtered(const char *cgroup)
{
	struct sock_filter steps[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof steps / sizeof *steps, .filter = steps };
	char path[4096], byte;
	snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
	int procs = open(path, O_WRONLY);
	must(procs >= 0 && write(procs, "0", 1) == 1, path);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
	int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	must(fd >= 0, "seccomp");
	/* So far the supervisor has the same table of files. */
	*listener = fd;
	while (*listener == fd)
		usleep(1000);
	must(unshare(CLONE_FILES) == 0 && dup2(0, REPLACED) == REPLACED, "unshare");
	int file = syscall(SYS_getppid);
	must(file >= 0 && read(file, &byte, 1) == 1, "read");
	_exit(0);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	int replaces = strcmp(argv[1], "replace") == 0;
	listener = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (child == 0)
		filtered(argv[3]);
	int status;
	while (*listener == 0 && waitpid(child, &status, WNOHANG) == 0)
		usleep(1000);
	int fd = *listener;
	*listener = -1;
	must(fd > 0, "listener");
	struct seccomp_notif asked = { 0 };
	must(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &asked) == 0, "receive");
	struct seccomp_notif_addfd file = { .id = asked.id, .srcfd = open(argv[2], O_RDONLY),
		.flags = replaces ? SECCOMP_ADDFD_FLAG_SETFD : 0, .newfd = replaces ? REPLACED : 0 };
	int theirs = ioctl(fd, SECCOMP_IOCTL_NOTIF_ADDFD, &file);
	must(theirs >= 0, "put");
	struct seccomp_notif_resp answer = { .id = asked.id, .val = theirs };
	must(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0, "answer");
	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

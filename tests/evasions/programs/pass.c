/* Gets an open file from another process without an open.
 *
 *     pass send SOCKET FILE   opens the file and passes it to whoever connects (SCM_RIGHTS)
 *     pass receive SOCKET     takes it and reads it
 *     pass many SOCKET        the same by recvmmsg, with credentials in front of it
 *     pass take FILE          a child opens the file, and pidfd_getfd takes it from there
 */
#include "evade.h"
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

static char room[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int))];
static char byte;
static struct iovec data = { &byte, 1 };
static struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = room,
	.msg_controllen = sizeof room };

static int came(void)
{
	int file;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
		if (header->cmsg_type == SCM_RIGHTS) {
			memcpy(&file, CMSG_DATA(header), sizeof file);
			return file;
		}
	return -1;
}

static struct sockaddr_un named(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strncpy(address.sun_path, path, sizeof address.sun_path - 1);
	return address;
}

static void reads(int fd)
{
	must(fd >= 0 && read(fd, &byte, 1) == 1, "read");
}

static void take(const char *file)
{
	int ready[2];
	must(pipe(ready) == 0, "pipe");
	pid_t child = fork();
	if (child == 0) {
		int fd = open(file, O_RDONLY);
		write(ready[1], &fd, sizeof fd);
		pause();
	}
	int theirs;
	must(read(ready[0], &theirs, sizeof theirs) == sizeof theirs, "pipe");
	int pidfd = syscall(SYS_pidfd_open, child, 0);
	reads(syscall(SYS_pidfd_getfd, pidfd, theirs, 0));
	kill(child, SIGKILL);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	struct sockaddr_un address = named(argv[2]);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (strcmp(argv[1], "send") == 0) {
		must(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0, "bind");
		int file = open(argv[3], O_RDONLY);
		must(file >= 0, argv[3]);
		message.msg_controllen = CMSG_SPACE(sizeof file);
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof file);
		memcpy(CMSG_DATA(header), &file, sizeof file);
		must(sendmsg(accept(fd, NULL, NULL), &message, 0) == 1, "sendmsg");
	} else if (strcmp(argv[1], "receive") == 0 || strcmp(argv[1], "many") == 0) {
		for (int tries = 0; connect(fd, (struct sockaddr *)&address, sizeof address) != 0; tries++) {
			must(tries < 1000, "connect");
			usleep(10000);
		}
		if (strcmp(argv[1], "many") == 0) {
			int on = 1;
			must(setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0, "SO_PASSCRED");
			struct mmsghdr many = { .msg_hdr = message };
			must(recvmmsg(fd, &many, 1, 0, NULL) == 1, "recvmmsg");
			message = many.msg_hdr;
		} else {
			must(recvmsg(fd, &message, 0) == 1, "recvmsg");
		}
		reads(came());
	} else {
		take(argv[2]);
	}
	return 0;
}

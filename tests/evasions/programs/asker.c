/* Asks for a name through a connection whose asker a monitor had to forget: thousands of others were
 * begun to servers of names since.
 *
 *     asker CROWD
 */
#include "evade.h"
#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>

enum { PROCESSORS = 4 };

/* Of a map of 4096; each processor keeps its latest apart. */
static void crowd(int count)
{
	/* Where nobody listens. */
	struct sockaddr_in nobody = { .sin_family = AF_INET, .sin_port = htons(53) };
	nobody.sin_addr.s_addr = htonl(0x7f000508);
	for (int i = 0; i < count; i++) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		must(fd >= 0, "socket");
		must(connect(fd, (struct sockaddr *)&nobody, sizeof nobody) < 0 && errno == ECONNREFUSED, "connect");
		close(fd);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(53) };
	server.sin_addr.s_addr = htonl(0x7f000507);
	int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	must(bind(listener, (struct sockaddr *)&server, sizeof server) == 0, "bind");
	must(listen(listener, 1) == 0, "listen");
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
	for (int number = 0; number < PROCESSORS; number++) {
		cpu_set_t one;
		CPU_ZERO(&one);
		CPU_SET(number, &one);
		if (sched_setaffinity(0, sizeof one, &one) == 0)
			crowd(atoi(argv[1]));
	}
	/* TXT of `asked.evade.test`, behind the message's length. */
	static const char question[] = "\0\x22\0\7\1\0\0\1\0\0\0\0\0\0\5asked\5evade\4test\0\0\x10\0\1";
	must(send(fd, question, sizeof question - 1, 0) == sizeof question - 1, "send");
	return 0;
}

/* Asks a server of names of its own in pieces.
 *
 *     pieces bytes | whole NAME    through TCP, each byte in a packet of its own, or all in one
 *     pieces batch NAME            two questions in one call (UDP_SEGMENT), the second for NAME
 */
#include "evade.h"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

/* TXT of NAME.evade.test; gives its length. */
static size_t question(unsigned char *to, const char *name)
{
	static const unsigned char head[] = { 0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
	static const char tail[] = "\5evade\4test\0\0\x10\0\1";
	size_t label = strlen(name), at = sizeof head;
	memcpy(to, head, sizeof head);
	to[at++] = label;
	memcpy(to + at, name, label);
	memcpy(to + at + label, tail, sizeof tail - 1);
	return at + label + sizeof tail - 1;
}

int main(int argc, char **argv)
{
	if (argc != 3 || strlen(argv[2]) > 63)
		return 2;
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(53) };
	server.sin_addr.s_addr = htonl(0x7f000509);
	unsigned char all[512];
	int on = 1;
	if (strcmp(argv[1], "batch") == 0) {
		int fd = socket(AF_INET, SOCK_DGRAM, 0);
		must(connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
		char *other = strdup(argv[2]);
		memset(other, 'x', strlen(other));
		int one = question(all, other);
		must(setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &one, sizeof one) == 0, "UDP_SEGMENT");
		size_t size = one + question(all + one, argv[2]);
		must(send(fd, all, size, 0) == (ssize_t)size, "send");
		return 0;
	}
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	must(bind(listener, (struct sockaddr *)&server, sizeof server) == 0, "bind");
	must(listen(listener, 1) == 0, "listen");
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&server, sizeof server) == 0, "connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	size_t size = question(all + 2, argv[2]);
	all[0] = 0;
	all[1] = size;
	size_t step = strcmp(argv[1], "bytes") == 0 ? 1 : size + 2;
	for (size_t sent = 0; sent < size + 2; sent += step)
		must(send(fd, all + sent, step, 0) == (ssize_t)step, "send");
	/* Who is gone sends nothing that waits. */
	int server_end = accept(listener, NULL, NULL);
	must(server_end >= 0, "accept");
	must(recv(server_end, all, size + 2, MSG_WAITALL) == (ssize_t)size + 2, "recv");
	return 0;
}

/* A connect(2) that blocks leaves a second in which its address can be rewritten: whoever reads
 * the address when the call ends reads a lie. The queue of the listening socket is full, so that
 * the connection comes about only when the kernel asks again.
 *
 *     slow-connect PORT LIE
 */
#include "evade.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

static struct sockaddr_in address;
static uint16_t lie;
static int listener;

static void *rewrite(void *unused)
{
	usleep(300000);
	*(volatile uint16_t *)&address.sin_port = lie;
	/* Makes room in the queue. */
	for (int i = 0; i < 3; i++)
		accept(listener, NULL, NULL);
	return unused;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	uint16_t port = htons(atoi(argv[1]));
	lie = htons(atoi(argv[2]));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = port;
	listener = socket(AF_INET, SOCK_STREAM, 0);
	int on = 1;
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
	must(listen(listener, 0) == 0, "listen");
	struct sockaddr_in filler = address;
	/* One fills the queue; a second would block. */
	int first = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(first, (struct sockaddr *)&filler, sizeof filler) == 0, "connect");
	pthread_t thread;
	must(pthread_create(&thread, NULL, rewrite, NULL) == 0, "pthread_create");
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	must(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "connect");
	struct sockaddr_in peer;
	socklen_t length = sizeof peer;
	must(getpeername(fd, (struct sockaddr *)&peer, &length) == 0, "getpeername");
	must(peer.sin_port == port && address.sin_port == lie, "the address was not rewritten in time");
	exit(0);
}

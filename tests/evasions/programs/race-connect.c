/* TOCTOU on an address: one thread connects a UDP socket while another flips the port in the
 * address. Tells how often the socket was connected to the secret port.
 *
 *     race-connect SECRET-PORT BENIGN-PORT ROUNDS
 */
#include "evade.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>

static struct sockaddr_in address;
static uint16_t ports[2];
static volatile int done;

static void *flip(void *unused)
{
	for (unsigned i = 0; !done; i++)
		*(volatile uint16_t *)&address.sin_port = ports[i & 1];
	return unused;
}

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	ports[0] = htons(atoi(argv[1]));
	ports[1] = htons(atoi(argv[2]));
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = ports[1];
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	must(fd >= 0, "socket");
	pthread_t thread;
	must(pthread_create(&thread, NULL, flip, NULL) == 0, "pthread_create");
	long hits = 0;
	long rounds = atol(argv[3]);
	for (long round = 0; goes_on(round, rounds, hits); round++) {
		struct sockaddr_in peer;
		socklen_t length = sizeof peer;
		if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
			continue;
		must(getpeername(fd, (struct sockaddr *)&peer, &length) == 0, "getpeername");
		hits += peer.sin_port == ports[0];
	}
	done = 1;
	pthread_join(thread, NULL);
	printf("fact hits %ld\n", hits);
	return 0;
}

/* A call on a socket that waits, while another thread puts another file behind its descriptor: whoever
 * looks at the descriptor when the call ends sees no socket.
 *
 *     replace send | receive SOCKET
 */
#include "evade.h"
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>

static struct sockaddr_un address = { .sun_family = AF_UNIX };
static int other, here, sends;

static void *replace(void *unused)
{
	char text[16];
	usleep(300000);
	must(dup2(open("/dev/null", O_RDWR), here) == here, "dup2");
	if (sends)
		while (recv(other, text, sizeof text, MSG_DONTWAIT) > 0)
			;
	else
		must(sendto(other, "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1, "sendto");
	return unused;
}

int main(int argc, char **argv)
{
	if (argc != 3 || strlen(argv[2]) >= sizeof address.sun_path)
		return 2;
	strcpy(address.sun_path, argv[2]);
	sends = strcmp(argv[1], "send") == 0;
	here = socket(AF_UNIX, SOCK_DGRAM, 0);
	other = socket(AF_UNIX, SOCK_DGRAM, 0);
	must(bind(sends ? other : here, (struct sockaddr *)&address, sizeof address) == 0, "bind");
	if (sends)
		/* Until no more fits. */
		while (sendto(here, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&address, sizeof address) == 1)
			;
	pthread_t thread;
	must(pthread_create(&thread, NULL, replace, NULL) == 0, "pthread_create");
	char text[16];
	struct sockaddr_un from;
	socklen_t length = sizeof from;
	if (sends)
		must(sendto(here, "act", 3, 0, (struct sockaddr *)&address, sizeof address) == 3, "sendto");
	else
		must(recvfrom(here, text, sizeof text, 0, (struct sockaddr *)&from, &length) == 1, "recvfrom");
	unlink(argv[2]);
	exit(0);
}

/* Sends on a socket that was never connected: datagrams, or data with which TCP connects.
 *
 *     datagrams sendto | sendmsg | sendmmsg | fast-open PORT
 */
#include "evade.h"
#include <arpa/inet.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])) };
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct iovec data = { "x", 1 };
	struct mmsghdr message = { .msg_hdr = { .msg_name = &address, .msg_namelen = sizeof address,
		.msg_iov = &data, .msg_iovlen = 1 } };
	if (strcmp(argv[1], "sendto") == 0)
		must(sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1, argv[1]);
	else if (strcmp(argv[1], "sendmsg") == 0)
		must(sendmsg(fd, &message.msg_hdr, 0) == 1, argv[1]);
	else if (strcmp(argv[1], "fast-open") == 0)
		/* Nobody needs to be there. */
		must(sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN,
			    (struct sockaddr *)&address, sizeof address) == 1 || errno == ECONNREFUSED, argv[1]);
	else
		must(sendmmsg(fd, &message, 1, 0) == 1, argv[1]);
	return 0;
}

/* Carries data in names that it asks for, each another, without waiting for answers.
 *
 *     tunnel NUMBER LENGTH     so many names, of labels of this length
 */
#include "evade.h"
#include <arpa/inet.h>
#include <sys/socket.h>

enum { LABELS = 3, LONGEST = 63 };

int main(int argc, char **argv)
{
	int length = argc == 3 ? atoi(argv[2]) : 0;
	if (length < 1 || length > LONGEST)
		return 2;
	struct sockaddr_in server = { .sin_family = AF_INET, .sin_port = htons(53) };
	server.sin_addr.s_addr = htonl(0x7f000509);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (int name = 0; name < atoi(argv[1]); name++) {
		static const char rest[] = "\6tunnel\5evade\4test\0\0\x10\0\1";
		char message[512] = "\0\7\1\0\0\1";
		char *end = message + 12;
		for (int label = 0; label < LABELS; label++) {
			*end++ = length;
			for (int at = 0; at < length; at++)
				*end++ = 'a' + (name >> at % 8 & 15);
		}
		memcpy(end, rest, sizeof rest - 1);
		size_t size = end + sizeof rest - 1 - message;
		must(sendto(fd, message, size, 0, (struct sockaddr *)&server, sizeof server) == (ssize_t)size,
		     "sendto");
	}
	return 0;
}

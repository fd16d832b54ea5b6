/* Copies a file into a socket or another file without a read(2) of it.
 *
 *     copy sendfile | splice FILE     into a socket
 *     copy range FILE OTHER           copy_file_range
 *     copy inherited DESCRIPTOR       reads what it was started with
 */
#include "evade.h"
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "inherited") == 0) {
		char byte;
		struct iovec place = { &byte, 1 };
		must(readv(atoi(argv[2]), &place, 1) == 1, argv[1]);
		return 0;
	}
	int file = open(argv[2], O_RDONLY), sockets[2], pipes[2];
	must(file >= 0, argv[2]);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0 && pipe(pipes) == 0, "socketpair");
	if (strcmp(argv[1], "sendfile") == 0) {
		must(sendfile(sockets[0], file, NULL, 64) > 0, argv[1]);
	} else if (strcmp(argv[1], "splice") == 0) {
		must(splice(file, NULL, pipes[1], NULL, 64, 0) > 0, argv[1]);
		must(splice(pipes[0], NULL, sockets[0], NULL, 64, 0) > 0, argv[1]);
	} else {
		int other = open(argv[3], O_CREAT | O_WRONLY, 0600);
		must(copy_file_range(file, NULL, other, NULL, 64, 0) > 0, argv[1]);
	}
	return 0;
}

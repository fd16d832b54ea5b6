/* System calls of 32-bit programs, done by a 64-bit one: other numbers, other registers, and
 * pointers below 4 GiB.
 *
 *     int80 open FILE | unlink FILE | connect PORT | socketcall PORT
 */
#include "evade.h"
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/socket.h>

static long call(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c)
			 : "memory", "r8", "r9", "r10", "r11");
	int short_result = (int)result;
	errno = short_result < 0 ? -short_result : 0;
	return short_result;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	char *low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must(low != MAP_FAILED, "mmap");
	long place = (long)(uintptr_t)low;
	if (call(20 /* getpid */, 0, 0, 0) != getpid()) {
		puts("this kernel takes no 32-bit calls");
		return NOT_HERE;
	}
	strncpy(low, argv[2], 4095);
	if (strcmp(argv[1], "open") == 0) {
		must(call(5, place, O_RDONLY, 0) >= 0, "open");
	} else if (strcmp(argv[1], "unlink") == 0) {
		must(call(10, place, 0, 0) == 0, "unlink");
	} else {
		struct sockaddr_in *address = (struct sockaddr_in *)low;
		*address = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(atoi(argv[2])) };
		address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		if (strcmp(argv[1], "connect") == 0) {
			call(362, fd, place, sizeof *address);
		} else {
			uint32_t *arguments = (uint32_t *)(low + 4096);
			arguments[0] = fd;
			arguments[1] = place;
			arguments[2] = sizeof *address;
			call(102, 3 /* SYS_CONNECT */, place + 4096, 0);
		}
		/* Nobody listens, which the kernel found out by trying. */
		must(errno == ECONNREFUSED, "connect");
	}
	return 0;
}

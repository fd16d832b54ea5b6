/* Opens a file by the number of a call of x32, the ABI of 64-bit programs with short pointers.
 *
 *     x32 FILE
 */
#include "evade.h"

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	must(syscall(0x40000000 | SYS_open, argv[1], O_RDONLY) >= 0, "a call of x32");
	return 0;
}

/* Runs a program under another first argument.
 *
 *     called NAME PROGRAM [ARGUMENT]...
 */
#include "evade.h"

int main(int argc, char **argv)
{
	if (argc < 3)
		return 2;
	const char *program = argv[2];
	argv[2] = argv[1];
	execv(program, argv + 2);
	must(0, program);
}

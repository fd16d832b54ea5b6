/* Calls itself something else, after the fact: the memory of its arguments and its name; then opens
 * a file.
 *
 *     disguise FILE
 */
#include "evade.h"
#include <sys/prctl.h>

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	char *file = strdup(argv[1]);
	prctl(PR_SET_NAME, "sshd");
	for (int i = 0; i < argc; i++)
		memset(argv[i], 'x', strlen(argv[i]));
	must(open(file, O_RDONLY) >= 0, file);
	return 0;
}

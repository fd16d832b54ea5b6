/* Opens a file whose path is longer than any call takes: 200 folders of 30 characters, one below
 * the other, each entered by its own name; with `long`, a passed path of 4,000 bytes.
 *
 *     deep tall FOLDER NAME | deep long FOLDER NAME
 */
#include "evade.h"

int main(int argc, char **argv)
{
	if (argc != 4)
		return 2;
	must(chdir(argv[2]) == 0, argv[2]);
	if (strcmp(argv[1], "tall") == 0) {
		for (int level = 0; level < 200; level++) {
			const char *name = "a-name-of-thirty-characters---";
			must(mkdir(name, 0700) == 0 || errno == EEXIST, "mkdir");
			must(chdir(name) == 0, "chdir");
		}
		must(open(argv[3], O_CREAT | O_RDWR, 0600) >= 0, argv[3]);
		return 0;
	}
	char path[4096] = "";
	while (strlen(path) + strlen(argv[3]) < 4000)
		strcat(path, "./");
	strcat(path, argv[3]);
	must(open(path, O_RDONLY) >= 0, argv[3]);
	return 0;
}

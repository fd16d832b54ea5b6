/* Calls itself something else, after the fact, then opens a file.
 *
 *     disguise FILE          rewrites the memory of its arguments, and its name
 *     disguise FILE GO       the same, and waits for the file GO before it opens the other
 *     disguise FILE moved    has the kernel show other memory as its arguments
 */
#include "evade.h"
#include <sys/prctl.h>

static void rewrite(int argc, char **argv)
{
	prctl(PR_SET_NAME, "sshd");
	for (int i = 0; i < argc; i++)
		memset(argv[i], 'x', strlen(argv[i]));
}

/* The kernel takes all places at once from anybody: those it has, but for the arguments'. */
static void show(const char *text, size_t size)
{
	char stat[1024] = "";
	int file = open("/proc/self/stat", O_RDONLY);
	must(read(file, stat, sizeof stat - 1) > 0, "stat");
	uint64_t field[52] = { 0 };
	char *next = strrchr(stat, ')') + 2;
	for (int i = 3; i < 52 && next; i++, next = strchr(next, ' ') ? strchr(next, ' ') + 1 : NULL)
		field[i] = strtoull(next, NULL, 10);
	struct prctl_mm_map map = {
		.start_code = field[26], .end_code = field[27], .start_stack = field[28],
		.start_data = field[45], .end_data = field[46], .start_brk = field[47],
		.brk = (uintptr_t)sbrk(0),
		.arg_start = (uintptr_t)text, .arg_end = (uintptr_t)text + size,
		.env_start = field[50], .env_end = field[51], .exe_fd = -1,
	};
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof map, 0) == 0)
		return;
	int code = errno;
	perror("PR_SET_MM_MAP");
	exit(code == EINVAL ? NOT_HERE : 1);
}

int main(int argc, char **argv)
{
	static const char other[] = "sshd";
	if (argc != 2 && argc != 3)
		return 2;
	char *file = strdup(argv[1]), *go = argc == 3 ? strdup(argv[2]) : NULL;
	if (go && strcmp(go, "moved") == 0) {
		show(other, sizeof other);
	} else {
		rewrite(argc, argv);
		while (go && access(go, F_OK) != 0)
			usleep(10000);
	}
	must(open(file, O_RDONLY) >= 0, file);
	return 0;
}

/* Opens without open(2).
 *
 *     handle openat2 FOLDER NAME   openat2 with RESOLVE_BENEATH
 *     handle by-handle FILE        name_to_handle_at, then open_by_handle_at
 *     handle tree FOLDER PLACE     open_tree of a folder, put elsewhere by move_mount
 *     handle below-tree FOLDER NAME   open_tree of a folder, and an open below that
 *     handle mount PLACE           a file system made by fsopen and fsmount, put there by move_mount
 */
#include "evade.h"
#include <linux/openat2.h>

int main(int argc, char **argv)
{
	const char *act = argc > 2 ? argv[1] : "";
	const char *second = argc > 3 ? argv[3] : "";
	if (strcmp(act, "openat2") == 0) {
		int folder = open(argv[2], O_PATH);
		struct open_how how = { .flags = O_RDONLY, .resolve = RESOLVE_BENEATH };
		must(syscall(SYS_openat2, folder, second, &how, sizeof how) >= 0, act);
	} else if (strcmp(act, "by-handle") == 0) {
		char room[sizeof(struct file_handle) + 128];
		struct file_handle *handle = (struct file_handle *)room;
		handle->handle_bytes = 128;
		int mount;
		must(name_to_handle_at(AT_FDCWD, argv[2], handle, &mount, 0) == 0, "name_to_handle_at");
		char *folder = strdup(argv[2]);
		*strrchr(folder, '/') = 0;
		int any = open(folder, O_RDONLY | O_DIRECTORY);
		must(open_by_handle_at(any, handle, O_RDONLY) >= 0, "open_by_handle_at");
	} else if (strcmp(act, "tree") == 0) {
		int tree = syscall(SYS_open_tree, AT_FDCWD, argv[2], 1 /* OPEN_TREE_CLONE */);
		must(tree >= 0, "open_tree");
		must(syscall(SYS_move_mount, tree, "", AT_FDCWD, second, 4 /* MOVE_MOUNT_F_EMPTY_PATH */) == 0,
		     "move_mount");
	} else if (strcmp(act, "below-tree") == 0) {
		int tree = syscall(SYS_open_tree, AT_FDCWD, argv[2], 1 /* OPEN_TREE_CLONE */);
		must(tree >= 0, "open_tree");
		must(openat(tree, second, O_RDONLY) >= 0, act);
	} else if (strcmp(act, "mount") == 0) {
		int made = syscall(SYS_fsopen, "tmpfs", 0);
		must(made >= 0, "fsopen");
		must(syscall(SYS_fsconfig, made, 6 /* FSCONFIG_CMD_CREATE */, NULL, NULL, 0) == 0, "fsconfig");
		int tree = syscall(SYS_fsmount, made, 0, 0);
		must(tree >= 0, "fsmount");
		must(syscall(SYS_move_mount, tree, "", AT_FDCWD, argv[2], 4 /* MOVE_MOUNT_F_EMPTY_PATH */) == 0,
		     "move_mount");
	} else {
		return 2;
	}
	return 0;
}

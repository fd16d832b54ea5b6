/* What the programs of this folder share. */
#ifndef EVADE_H
#define EVADE_H
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The exit status of an act that this kernel does not have. */
#define NOT_HERE 77

/* Ends the program unless the act was done. */
static inline void must(int done, const char *what)
{
	if (done)
		return;
	int code = errno;
	printf("%s: %s\n", what, strerror(code));
	exit(code == ENOSYS || code == EOPNOTSUPP || code == EAFNOSUPPORT ? NOT_HERE : 1);
}

static inline unsigned long inode(int fd)
{
	struct stat status;
	must(fstat(fd, &status) == 0, "fstat");
	return status.st_ino;
}

static inline unsigned long inode_of(const char *path)
{
	struct stat status;
	must(stat(path, &status) == 0, path);
	return status.st_ino;
}
#endif

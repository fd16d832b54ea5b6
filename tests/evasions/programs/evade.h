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

/* Rounds beyond those asked for in which a race may still be won. */
#define FURTHER_ROUNDS 20000

/* Whether a race goes on to this round, of which there are so many: a thread may not get its turn for
 * long, so until either of both has come first once. */
static inline int goes_on(long round, long rounds, long hits)
{
	/* Not faster than alerts can be written: the race is what counts. */
	if (round % 64 == 0)
		usleep(2000);
	int both = hits > 0 && hits < round;
	return round < rounds || (!both && round < rounds + FURTHER_ROUNDS);
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

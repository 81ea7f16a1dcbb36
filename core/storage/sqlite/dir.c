/* The data directory and its lock. */
#include "storage/sqlite/dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

/* Adds "PATH: what: reason" and returns -err. */
static int fail(struct apd_buf *error, const char *path, const char *what, int err)
{
	apd_buf_addf(error, "%s: %s: %s", path, what, strerror(err));
	return -err;
}

/* Makes a directory and those above it. */
static int make_dir(const char *dir)
{
	char *path = apd_strdup(dir);
	int r = 0;

	for (char *at = path + 1; r == 0 && path[0] && *at; at++) {
		if (*at != '/')
			continue;
		*at = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			r = -errno;
		*at = '/';
	}
	free(path);
	if (r == 0 && mkdir(dir, 0700) < 0 && errno != EEXIST)
		r = -errno;
	return r;
}

/* Says who has the lock, as far as its file tells. */
static int say_taken(struct apd_buf *error, const char *dir, int fd)
{
	char pid[24] = "";
	ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

	for (ssize_t i = 0; i < n; i++)
		if (pid[i] < '0' || pid[i] > '9')
			pid[i] = '\0';
	apd_buf_addf(error, "%s: another apd uses this data directory", dir);
	if (pid[0])
		apd_buf_addf(error, " (process %s)", pid);
	return -EWOULDBLOCK;
}

/* Takes the lock file's lock and writes the process's id into it. */
static int take_lock(const char *dir, const char *path, int *ret_fd, struct apd_buf *error)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int r;

	if (fd < 0)
		return fail(error, path, "cannot open the lock file", errno);
	if (fcntl(fd, F_OFD_SETLK, &whole) < 0) {
		r = errno == EAGAIN || errno == EACCES ? say_taken(error, dir, fd)
						       : fail(error, path, "cannot lock", errno);
		close(fd);
		return r;
	}
	/* Only for the sentence above: a disk too full for it stops nobody. */
	if (ftruncate(fd, 0) == 0)
		dprintf(fd, "%ld\n", (long)getpid());
	*ret_fd = fd;
	return 0;
}

/* Makes the database file, so that its mode does not hang on the umask. */
static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

int apd_dir_claim(const char *dir, const char *db_path, int *ret_lock_fd, struct apd_buf *error)
{
	struct apd_buf lock_path = {0};
	int fd = -1, r;

	r = make_dir(dir);
	if (r < 0)
		return fail(error, dir, "cannot make the data directory", -r);
	apd_buf_addf(&lock_path, "%s/lock", dir);
	r = take_lock(dir, lock_path.data, &fd, error);
	apd_buf_finish(&lock_path);
	if (r < 0)
		return r;
	r = make_file(db_path);
	if (r < 0) {
		close(fd);
		return fail(error, db_path, "cannot open the database", -r);
	}
	*ret_lock_fd = fd;
	return 0;
}

void apd_dir_release(int lock_fd)
{
	/* The file stays: removing it could remove the lock of a daemon that came meanwhile. */
	if (ftruncate(lock_fd, 0) < 0)
		errno = 0;
	close(lock_fd);
}

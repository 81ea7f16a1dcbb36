/* Opening plugin directories and files, and checking them on their descriptors. */
#include "host/plugin_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "host/elf_peek.h"
#include "host/spawn.h"

/* No plugin is larger; what is must be a mistake. */
#define SIZE_MAX_BYTES (512u << 20)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

bool apd_file_key_eq(const struct apd_file_key *a, const struct apd_file_key *b)
{
	return a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
		a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

/* What is wrong with who may write it, or NULL. */
static const char *distrust(const struct stat *st, bool parent)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "it belongs neither to root nor to apd's user";
	if (parent && (st->st_mode & S_ISVTX))
		return NULL;
	if (st->st_mode & S_IWOTH)
		return "everybody may write to it";
	if (st->st_mode & S_IWGRP)
		return "its group may write to it";
	return NULL;
}

/* Notes in why, unless there is something already, what is wrong with a directory. */
static int check_dir(int fd, const char *path, size_t len, bool parent, char *why)
{
	const char *wrong;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	wrong = distrust(&st, parent);
	if (wrong && why[0] == '\0')
		snprintf(why, APD_WHY_SIZE, "directory %.*s: %s", (int)len, path, wrong);
	return 0;
}

/* Walks an absolute path without links from the root, so that what was checked is what is opened. */
static int walk(char *path, char *why)
{
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char *at = path + 1;
	int r;

	if (fd < 0)
		return -errno;
	r = check_dir(fd, "/", 1, true, why);
	while (r == 0 && *at) {
		size_t len = strcspn(at, "/");
		bool last = at[len] == '\0';
		int next;

		at[len] = '\0';
		next = openat(fd, at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = next < 0 ? -errno : 0;
		close(fd);
		fd = next;
		if (r == 0)
			r = check_dir(fd, path, strlen(path), !last, why);
		if (!last)
			at[len] = '/';
		at += last ? len : len + 1;
	}
	if (r < 0 && fd >= 0)
		close(fd);
	return r < 0 ? r : fd;
}

int apd_plugin_dir_open(const char *path, char why[APD_WHY_SIZE])
{
	char *resolved = realpath(path, NULL);
	int fd;

	why[0] = '\0';
	if (!resolved)
		return -errno;
	fd = walk(resolved, why);
	free(resolved);
	return fd;
}

int apd_plugin_file_open(
	int dir_fd, const char *name, struct apd_file_key *ret_key, char why[APD_WHY_SIZE])
{
	/* Non-blocking: a FIFO must not stop the daemon. */
	int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *wrong = NULL;
	struct stat st;
	int r = 0;

	if (fd < 0) {
		r = -errno;
		snprintf(why, APD_WHY_SIZE, "%s",
			r == -ELOOP ? "it is a symbolic link" : strerror(-r));
		return r;
	}
	if (fstat(fd, &st) < 0)
		wrong = "it cannot be looked at";
	else if (!S_ISREG(st.st_mode))
		wrong = "it is not a regular file";
	else
		wrong = distrust(&st, false);
	if (!wrong && st.st_size > SIZE_MAX_BYTES)
		wrong = "it is larger than any plugin";
	if (wrong) {
		snprintf(why, APD_WHY_SIZE, "%s", wrong);
		close(fd);
		return -EPERM;
	}
	*ret_key = (struct apd_file_key){st.st_dev, st.st_ino, st.st_mtim, st.st_size};
	return fd;
}

static int copy(int to, int from, size_t size)
{
	off_t at = 0;

	while ((size_t)at < size) {
		ssize_t n = sendfile(to, from, &at, size - (size_t)at);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ENODATA;
	}
	return 0;
}

int apd_plugin_file_seal(int fd, const char *name, size_t size, char why[APD_WHY_SIZE])
{
	char title[128];
	int memfd, r;

	snprintf(title, sizeof(title), "apd:%s", name);
	/* Mapping its code needs no execute permission, and some kernels allow no other memfd. */
	memfd = memfd_create(title, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (memfd < 0 && errno == EINVAL)
		memfd = memfd_create(title, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	r = memfd < 0 ? -errno : 0;
	if (r == 0)
		memfd = r = apd_fd_raise(memfd);
	if (r >= 0)
		r = copy(memfd, fd, size);
	if (r == 0 &&
		fcntl(memfd, F_ADD_SEALS,
			F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0)
		r = -errno;
	if (r == 0)
		return memfd;
	snprintf(why, APD_WHY_SIZE, "it cannot be read: %s",
		r == -ENODATA ? "it became shorter meanwhile" : strerror(-r));
	if (memfd >= 0)
		close(memfd);
	return r;
}

int apd_plugin_file_judge(int memfd, char why[APD_WHY_SIZE])
{
	struct stat st;
	void *data;
	int r;

	if (fstat(memfd, &st) < 0 || st.st_size == 0) {
		snprintf(why, APD_WHY_SIZE, "it is empty");
		return -ENOEXEC;
	}
	data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, memfd, 0);
	if (data == MAP_FAILED) {
		snprintf(why, APD_WHY_SIZE, "it cannot be read: %s", strerror(errno));
		return -ENOEXEC;
	}
	r = apd_elf_judge(data, (size_t)st.st_size, why, APD_WHY_SIZE);
	munmap(data, (size_t)st.st_size);
	return r;
}

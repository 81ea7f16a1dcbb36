/*
 * Plugin directories and plugin files: who may have written them, and taking a
 * file's bytes from the very descriptor that was checked.
 */
#ifndef APD_HOST_PLUGIN_FILE_H
#define APD_HOST_PLUGIN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <time.h>

/* Room for a sentence. */
#define APD_WHY_SIZE 400

/* What tells one version of a file from another. */
struct apd_file_key {
	dev_t dev;
	ino_t ino;
	struct timespec mtime;
	off_t size;
};

bool apd_file_key_eq(const struct apd_file_key *a, const struct apd_file_key *b);

/*
 * Opens a plugin directory, symbolic links on the way resolved first. Each of
 * its parents and itself must be root's or ours and not writable by group or
 * others; a parent may be writable with the sticky bit, as /tmp is, where
 * nobody can replace what is ours. Returns a descriptor, or a negative errno
 * if there is no such directory. One that cannot be trusted is opened too, and
 * why says why, else why is empty. [any]
 */
int apd_plugin_dir_open(const char *path, char why[APD_WHY_SIZE]);

/*
 * Opens a file of the directory: no symbolic link, a regular file of root's or
 * ours, not writable by group or others. Returns a descriptor, or a negative
 * errno and why. [any]
 */
int apd_plugin_file_open(
	int dir_fd, const char *name, struct apd_file_key *ret_key, char why[APD_WHY_SIZE]);

/*
 * Copies the file into a sealed memfd, which nobody can change any more. The
 * name shows in /proc/PID/maps. Returns its descriptor, of 10 or above, or a
 * negative errno and why. [any]
 */
int apd_plugin_file_seal(int fd, const char *name, size_t size, char why[APD_WHY_SIZE]);

/* Peeks into a sealed file: 0, or -ENOEXEC and why no worker may map it. [any] */
int apd_plugin_file_judge(int memfd, char why[APD_WHY_SIZE]);

#endif

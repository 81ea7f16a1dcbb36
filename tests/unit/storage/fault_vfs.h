/* A file system for SQLite that can be told to fail. */
#ifndef STORAGE_FAULT_VFS_H
#define STORAGE_FAULT_VFS_H

enum fault {
	FAULT_NONE,
	FAULT_FULL, /* writes find no room */
	FAULT_WRITE, /* writes fail */
	FAULT_FSYNC, /* syncs fail */
};

/* Makes it the one that new connections use. */
void fault_vfs_install(void);

/* From now on, in all threads. */
void fault_vfs_set(enum fault fault);

#endif

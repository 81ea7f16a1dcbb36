/* A file system for SQLite that can be told to fail: the system's, with a switch before it. */
#include "fault_vfs.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <string.h>

static _Atomic int current;

/* Our part of an open file; the system's part follows it. */
struct file {
	sqlite3_file base;
	sqlite3_file *real;
};

static sqlite3_file *real(sqlite3_file *file)
{
	return ((struct file *)file)->real;
}

static int do_close(sqlite3_file *file)
{
	return real(file)->pMethods->xClose(real(file));
}

static int do_read(sqlite3_file *file, void *data, int n, sqlite3_int64 at)
{
	return real(file)->pMethods->xRead(real(file), data, n, at);
}

static int do_write(sqlite3_file *file, const void *data, int n, sqlite3_int64 at)
{
	switch (atomic_load(&current)) {
	case FAULT_FULL:
		return SQLITE_FULL;
	case FAULT_WRITE:
		return SQLITE_IOERR_WRITE;
	}
	return real(file)->pMethods->xWrite(real(file), data, n, at);
}

static int do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return real(file)->pMethods->xTruncate(real(file), size);
}

static int do_sync(sqlite3_file *file, int flags)
{
	if (atomic_load(&current) == FAULT_FSYNC)
		return SQLITE_IOERR_FSYNC;
	return real(file)->pMethods->xSync(real(file), flags);
}

static int do_file_size(sqlite3_file *file, sqlite3_int64 *size)
{
	return real(file)->pMethods->xFileSize(real(file), size);
}

static int do_lock(sqlite3_file *file, int level)
{
	return real(file)->pMethods->xLock(real(file), level);
}

static int do_unlock(sqlite3_file *file, int level)
{
	return real(file)->pMethods->xUnlock(real(file), level);
}

static int do_check_lock(sqlite3_file *file, int *reserved)
{
	return real(file)->pMethods->xCheckReservedLock(real(file), reserved);
}

static int do_control(sqlite3_file *file, int op, void *arg)
{
	return real(file)->pMethods->xFileControl(real(file), op, arg);
}

static int do_sector_size(sqlite3_file *file)
{
	return real(file)->pMethods->xSectorSize(real(file));
}

static int do_characteristics(sqlite3_file *file)
{
	return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static int do_shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **map)
{
	return real(file)->pMethods->xShmMap(real(file), page, size, extend, map);
}

static int do_shm_lock(sqlite3_file *file, int from, int n, int flags)
{
	return real(file)->pMethods->xShmLock(real(file), from, n, flags);
}

static void do_shm_barrier(sqlite3_file *file)
{
	real(file)->pMethods->xShmBarrier(real(file));
}

static int do_shm_unmap(sqlite3_file *file, int remove)
{
	return real(file)->pMethods->xShmUnmap(real(file), remove);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = do_close,
	.xRead = do_read,
	.xWrite = do_write,
	.xTruncate = do_truncate,
	.xSync = do_sync,
	.xFileSize = do_file_size,
	.xLock = do_lock,
	.xUnlock = do_unlock,
	.xCheckReservedLock = do_check_lock,
	.xFileControl = do_control,
	.xSectorSize = do_sector_size,
	.xDeviceCharacteristics = do_characteristics,
	.xShmMap = do_shm_map,
	.xShmLock = do_shm_lock,
	.xShmBarrier = do_shm_barrier,
	.xShmUnmap = do_shm_unmap,
};

static int do_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	sqlite3_vfs *system = vfs->pAppData;
	struct file *ours = (struct file *)file;
	int rc;

	ours->real = (sqlite3_file *)(ours + 1);
	memset(ours->real, 0, (size_t)system->szOsFile);
	rc = system->xOpen(system, name, ours->real, flags, out);
	file->pMethods = ours->real->pMethods ? &methods : NULL;
	return rc;
}

void fault_vfs_install(void)
{
	static sqlite3_vfs vfs;
	sqlite3_vfs *system = sqlite3_vfs_find(NULL);

	if (vfs.zName)
		return;
	vfs = *system;
	vfs.zName = "fault";
	vfs.szOsFile = (int)sizeof(struct file) + system->szOsFile;
	vfs.pAppData = system;
	vfs.xOpen = do_open;
	sqlite3_vfs_register(&vfs, 1);
}

void fault_vfs_set(enum fault fault)
{
	atomic_store(&current, fault);
}

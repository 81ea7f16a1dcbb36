/* Who may have written plugin directories and files, and sealing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/plugin_file.h"
#include "lab.h"

#define GOOD LAB_PLUGIN("stub", "1", LAB_AGENT("a", ""))

static int open_dir(struct lab *lab, char *why)
{
	return apd_plugin_dir_open(lab->dir, why);
}

static void test_modes_of_files(void **state)
{
	static const struct {
		mode_t mode;
		const char *wanted;
	} cases[] = {{0644, NULL}, {0755, NULL}, {0600, NULL}, {0664, "its group may write"},
		{0646, "everybody may write"}};
	char why[APD_WHY_SIZE];
	struct apd_file_key key;
	struct lab lab;
	int dir, fd;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good", GOOD);
	dir = open_dir(&lab, why);
	assert_true(dir >= 0);
	assert_string_equal(why, "");
	for (size_t i = 0; i < APD_COUNT(cases); i++) {
		assert_int_equal(chmod(lab_path(&lab, "a.so"), cases[i].mode), 0);
		why[0] = '\0';
		fd = apd_plugin_file_open(dir, "a.so", &key, why);
		assert_true((fd >= 0) == !cases[i].wanted);
		if (fd >= 0)
			close(fd);
		else
			assert_non_null(strstr(why, cases[i].wanted));
	}
	close(dir);
	lab_finish(&lab);
}

static void test_kinds_of_files(void **state)
{
	char why[APD_WHY_SIZE], target[256];
	struct apd_file_key key;
	struct lab lab;
	int dir;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good", GOOD);
	snprintf(target, sizeof(target), "%s", lab_path(&lab, "a.so"));
	assert_int_equal(symlink(target, lab_path(&lab, "link.so")), 0);
	assert_int_equal(mkfifo(lab_path(&lab, "fifo.so"), 0600), 0);
	dir = open_dir(&lab, why);
	assert_int_equal(apd_plugin_file_open(dir, "link.so", &key, why), -ELOOP);
	assert_non_null(strstr(why, "symbolic link"));
	assert_int_equal(apd_plugin_file_open(dir, "fifo.so", &key, why), -EPERM);
	assert_non_null(strstr(why, "not a regular file"));
	assert_int_equal(apd_plugin_file_open(dir, "none.so", &key, why), -ENOENT);
	close(dir);
	lab_finish(&lab);
}

static void test_foreign_owner(void **state)
{
	char why[APD_WHY_SIZE];
	struct apd_file_key key;
	struct lab lab;
	int dir;

	(void)state;
	if (geteuid() != 0) {
		skip();
		return;
	}
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good", GOOD);
	dir = open_dir(&lab, why);
	assert_int_equal(chown(lab_path(&lab, "a.so"), 12345, 12345), 0);
	assert_int_equal(apd_plugin_file_open(dir, "a.so", &key, why), -EPERM);
	assert_non_null(strstr(why, "neither to root nor to apd's user"));
	close(dir);
	lab_finish(&lab);
}

static void test_directories(void **state)
{
	char why[APD_WHY_SIZE], inner[300];
	struct lab lab;
	int fd;

	(void)state;
	lab_init(&lab);
	snprintf(inner, sizeof(inner), "%s", lab_path(&lab, "inner"));
	assert_int_equal(mkdir(inner, 0755), 0);
	fd = apd_plugin_dir_open(inner, why);
	assert_true(fd >= 0);
	assert_string_equal(why, "");
	close(fd);
	/* A parent that others may write to, and with the sticky bit. */
	assert_int_equal(chmod(lab.dir, 0777), 0);
	fd = apd_plugin_dir_open(inner, why);
	assert_true(fd >= 0);
	assert_non_null(strstr(why, "everybody may write to it"));
	close(fd);
	assert_int_equal(chmod(lab.dir, 01777), 0);
	fd = apd_plugin_dir_open(inner, why);
	assert_string_equal(why, "");
	close(fd);
	/* The directory itself is not excused by it. */
	assert_int_equal(chmod(inner, 01777), 0);
	fd = apd_plugin_dir_open(inner, why);
	assert_non_null(strstr(why, "everybody may write to it"));
	close(fd);
	assert_int_equal(apd_plugin_dir_open("/no/such/directory", why), -ENOENT);
	rmdir(inner);
	chmod(lab.dir, 0700);
	lab_finish(&lab);
}

static void test_seal(void **state)
{
	char why[APD_WHY_SIZE];
	struct apd_file_key key;
	struct lab lab;
	int dir, fd, memfd;

	(void)state;
	lab_init(&lab);
	lab_plugin(&lab, "a.so", "good", GOOD);
	dir = open_dir(&lab, why);
	fd = apd_plugin_file_open(dir, "a.so", &key, why);
	assert_true(fd >= 0);
	memfd = apd_plugin_file_seal(fd, "a.so#1", (size_t)key.size, why);
	assert_true(memfd >= 10);
	assert_int_equal(write(memfd, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(memfd, 0), -1);
	assert_int_equal(apd_plugin_file_judge(memfd, why), 0);
	close(memfd);
	/* A file that shrinks while it is read. */
	assert_true(apd_plugin_file_seal(fd, "a.so#2", (size_t)key.size + 1, why) < 0);
	assert_non_null(strstr(why, "became shorter"));
	close(fd);
	close(dir);
	lab_finish(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_modes_of_files),
		cmocka_unit_test(test_kinds_of_files),
		cmocka_unit_test(test_foreign_owner),
		cmocka_unit_test(test_directories),
		cmocka_unit_test(test_seal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

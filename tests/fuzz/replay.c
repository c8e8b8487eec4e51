/**
 * @file replay.c  Runs a fuzz target over files and folders of files
 *
 *	fuzz_x corpus/fuzz_x crash-1234
 *
 * A crash or a sanitizer's complaint ends it, after the name of the file.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <re.h>
#include "fuzz.h"


static unsigned files;


static int run_file(const char *path)
{
	struct stat st;
	uint8_t *exact = NULL;
	int err = 0, fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		err = errno;
		goto out;
	}

	/* exactly as large as the input, so that ASan sees its end */
	exact = mem_alloc((size_t)st.st_size, NULL);
	if (!exact) {
		err = ENOMEM;
		goto out;
	}
	if (read(fd, exact, (size_t)st.st_size) != st.st_size) {
		err = EIO;
		goto out;
	}

	(void)re_printf("%s\n", path);
	(void)fflush(stdout);
	(void)LLVMFuzzerTestOneInput(exact, (size_t)st.st_size);
	++files;

 out:
	if (err)
		(void)re_fprintf(stderr, "%s: %m\n", path, err);
	if (fd >= 0)
		(void)close(fd);
	mem_deref(exact);
	return err;
}


static int run_dir(const char *path)
{
	char name[1024];
	const struct dirent *de;
	int err = 0;
	DIR *dir;

	dir = opendir(path);
	if (!dir)
		return errno == ENOTDIR ? run_file(path) : errno;

	while (!err && (de = readdir(dir))) {
		if (de->d_name[0] == '.')
			continue;
		if (re_snprintf(name, sizeof(name), "%s/%s", path,
				de->d_name) < 0) {
			err = ENAMETOOLONG;
			break;
		}
		err = run_file(name);
	}
	(void)closedir(dir);

	return err;
}


int main(int argc, char *argv[])
{
	int err = 0, i;

	for (i=1; i<argc && !err; i++) {
		err = run_dir(argv[i]);
		if (err)
			(void)re_fprintf(stderr, "%s: %m\n", argv[i], err);
	}
	(void)re_printf("%u inputs\n", files);

	return err ? 1 : 0;
}

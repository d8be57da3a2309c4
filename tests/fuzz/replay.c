/* replay: runs a fuzz target over the seeds in a folder, and over each of them cut short and with
 * one octet changed at every 17th place, so that the target is exercised without libFuzzer. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void run_file(const char *path, unsigned long *runs)
{
	FILE *f = fopen(path, "rb");
	if (!f)
		return;
	static uint8_t data[1 << 20];
	size_t n = fread(data, 1, sizeof(data), f);
	fclose(f);
	LLVMFuzzerTestOneInput(data, n);
	++*runs;
	size_t step = n / 64 + 1;
	for (size_t cut = 0; cut < n; cut += step, ++*runs) {
		uint8_t *copy = malloc(cut + 1);
		memcpy(copy, data, cut);
		LLVMFuzzerTestOneInput(copy, cut);
		free(copy);
	}
	uint8_t *copy = malloc(n + 1);
	for (size_t at = 0; at < n; at += step > 17 ? step : 17, ++*runs) {
		memcpy(copy, data, n);
		copy[at] ^= (uint8_t)(1u << (at % 8));
		LLVMFuzzerTestOneInput(copy, n);
	}
	free(copy);
}

int main(int argc, char **argv)
{
	unsigned long runs = 0, files = 0;
	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		if (!d) {
			fprintf(stderr, "replay: %s: no such folder of seeds\n", argv[i]);
			return 1;
		}
		for (struct dirent *e; (e = readdir(d));) {
			if (e->d_name[0] == '.')
				continue;
			char path[4096];
			snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
			run_file(path, &runs);
			files++;
		}
		closedir(d);
	}
	printf("%lu inputs from %lu seeds\n", runs, files);
	return files ? 0 : 1;
}

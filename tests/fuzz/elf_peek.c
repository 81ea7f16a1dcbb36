/* Any bytes at all as a plugin file: the ELF reader must stay within them. */
#include <stddef.h>
#include <stdint.h>

#include "host/elf_peek.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[400];

	apd_elf_judge(data, size, why, sizeof(why));
	return 0;
}

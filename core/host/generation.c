/* Images and generations: counting references, and retiring. */
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "host/parts.h"

struct apd_image *apd_image_create(int memfd, unsigned number, struct apd_description *description)
{
	struct apd_image *image = apd_calloc(1, sizeof(*image));

	image->refs = 1;
	image->memfd = memfd;
	image->number = number;
	image->description = description;
	return image;
}

struct apd_image *apd_image_ref(struct apd_image *image)
{
	image->refs++;
	return image;
}

void apd_image_unref(struct apd_image *image)
{
	if (!image || --image->refs)
		return;
	close(image->memfd);
	apd_description_destroy(image->description);
	free(image);
}

struct apd_generation *apd_generation_create(struct apd_ward *ward, uint32_t n_instances)
{
	struct apd_generation *generation = apd_calloc(1, sizeof(*generation));

	generation->refs = 1;
	generation->plugin = ward->plugin;
	generation->ward = ward;
	generation->image = apd_image_ref(ward->plugin->image);
	generation->n_instances = n_instances;
	generation->instances = apd_calloc(n_instances, sizeof(*generation->instances));
	apd_list_init(&generation->processes);
	apd_list_init(&generation->supply);
	return generation;
}

struct apd_generation *apd_generation_ref(struct apd_generation *generation)
{
	generation->refs++;
	return generation;
}

void apd_generation_unref(struct apd_generation *generation)
{
	if (!generation || --generation->refs)
		return;
	for (uint32_t i = 0; i < generation->n_instances; i++) {
		free(generation->instances[i].agent_id);
		free(generation->instances[i].broken);
	}
	free(generation->broken);
	free(generation->instances);
	apd_image_unref(generation->image);
	free(generation);
}

void apd_generation_retire(struct apd_generation *generation)
{
	struct apd_process *process;

	generation->retired = true;
	apd_list_remove(&generation->supply);
	for (uint32_t i = 0; i < generation->n_instances; i++)
		generation->instances[i].route = NULL;
	apd_list_each (process, &generation->processes, link) {
		if (process->open == 0)
			apd_process_end(process);
	}
	apd_generation_unref(generation);
}

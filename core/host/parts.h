/*
 * What the pool is made of. A plugin is a path in a plugin directory; an image
 * is one version of its file, sealed and described; a ward is those agents of a
 * plugin that are confined alike and so may share processes; a generation is an
 * image with the agents it is served as in a ward; a process serves one
 * generation; a slot is one run in a process; a route leads from an agent_id to
 * its generation.
 *
 * All of it belongs to the runtime's thread, but for what says otherwise.
 */
#ifndef APD_HOST_PARTS_H
#define APD_HOST_PARTS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/id.h"
#include "base/json_scan.h"
#include "base/list.h"
#include "base/map.h"
#include "host/child.h"
#include "host/confinement.h"
#include "host/deadline.h"
#include "host/description.h"
#include "host/host.h"
#include "host/message_order.h"
#include "host/plugin_file.h"
#include "host/pool.h"
#include "host/strays.h"

/* One version of a plugin's file. */
struct apd_image {
	unsigned refs;
	int memfd;
	unsigned number; /* the generation, for people: 1 is the first of its path */
	struct apd_description *description;
};

/* One path in a plugin directory. Never freed before the pool: a file may come back. */
struct apd_plugin {
	struct apd_list link; /* in apd_pool.plugins, in the order of directories and names */
	struct apd_pool *pool;
	char *path;
	const char *file; /* the name in it */
	bool seen; /* in the scan that goes on */
	bool known; /* the key is that of the file last looked at */
	struct apd_file_key key;
	char *refusal; /* why the file that lies there now is not served, or NULL */
	struct apd_image *image; /* the newest good one, or NULL */
	unsigned images; /* so far */
	struct apd_list wards;
};

/* The agents of a plugin that are confined alike. Never freed before the pool. */
struct apd_ward {
	struct apd_list link; /* in its plugin's */
	struct apd_plugin *plugin;
	const struct apd_confinement *confinement; /* of apd_pool.confinements */
	struct apd_generation *current; /* that serves, or NULL */
	struct apd_generation *next; /* that will, as soon as a process of it is ready; or NULL */
	char *refusal; /* why the plugin's image does not serve and an older one does, or NULL */
	/* supply */
	unsigned processes; /* alive, of all generations */
	unsigned failures; /* deaths since the last success */
	unsigned unready; /* starts in a row that came to nothing: no process became ready */
	struct apd_deadline backoff; /* no process is started while it is set */
};

/* An agent that every process of a generation makes an instance of. Its place is its number. */
struct apd_instance {
	char *agent_id;
	const struct apd_described *described; /* of the image */
	const struct apd_agent_config *config; /* or NULL */
	enum apd_isolation isolation;
	char *broken; /* why there is none, or NULL */
	bool proved; /* some process has made one */
	struct apd_route *route; /* if it is this one that is served under its agent_id */
};

struct apd_generation {
	unsigned refs;
	struct apd_plugin *plugin;
	struct apd_ward *ward;
	struct apd_image *image;
	struct apd_instance *instances;
	uint32_t n_instances;
	char *broken; /* why no worker of it comes up, or NULL */
	bool unconfined; /* because it could not be confined: another try may do */
	struct apd_list processes;
	bool proved; /* a process of it has been ready */
	bool retired; /* a newer one has taken its place */
	struct apd_list supply; /* in apd_pool.supply, when a slot was asked for in vain */
	bool wants_fresh; /* and it must lie in an unused process */
	bool wants_ahead; /* an unused process was taken: have the next one ready */
};

/* Where an agent_id leads. Never freed before the pool. */
struct apd_route {
	char *agent_id;
	bool seen; /* while routes are made anew */
	struct apd_generation *generation; /* borrowed from its plugin; NULL: broken or vanished */
	uint32_t instance;
	struct apd_agent *agent; /* as it is published; NULL: there is none */
	bool stands_in; /* its agent only shows a broken file that nothing was configured for */
	bool wants; /* a slot was asked for in vain */
	struct apd_list notify; /* in apd_pool.notify */
};

enum apd_process_state {
	APD_PROCESS_HELLO = 1, /* was started */
	APD_PROCESS_CREATING, /* makes its instances */
	APD_PROCESS_READY,
	APD_PROCESS_ENDING, /* was told to quit */
	APD_PROCESS_DEAD,
};

struct apd_process {
	struct apd_child child;
	struct apd_pool *pool;
	struct apd_generation *generation; /* a reference */
	struct apd_list link; /* in the generation's */
	struct apd_list all; /* in the pool's */
	struct apd_list dirty; /* in apd_pool.dirty, when it has frames to send */
	enum apd_process_state state;
	bool fenced; /* a run in it did not stop: it takes no others */
	bool killed; /* by us, for that */
	bool unconfined; /* it said that it could not be confined */
	bool used; /* a run has begun in it */
	bool alone; /* its one run wants no neighbours */
	bool once; /* ends with that run */
	uint32_t creating; /* instances that have not answered */
	uint32_t *use; /* runs in each instance; APD_NO_INSTANCE: could not be made */
	uint32_t open; /* slots */
	uint32_t stopping; /* runs that were told to stop */
	uint32_t log_owed; /* bytes of log lines to give credit for */
	uint32_t last_run; /* the number of the run that began last */
	struct apd_list slots;
	struct apd_map runs; /* open slots by the number of their run */
	int64_t idle_since_ns;
	int64_t heard_ns; /* when its last frame came */
	bool pinged; /* and it has not answered */
	struct apd_deadline phase; /* the limit of HELLO, CREATE or QUIT */
	struct apd_deadline idle, ping, drain;
};

#define APD_NO_INSTANCE UINT32_MAX

enum apd_slot_phase {
	APD_SLOT_FREE = 0,
	APD_SLOT_ACQUIRED,
	APD_SLOT_INVOKED,
	APD_SLOT_DONE, /* invoke() returned; not yet released */
};

struct apd_run_slot {
	struct apd_slot slot;
	struct apd_list link; /* in its process's or in apd_pool.free_slots */
	struct apd_list refused; /* in apd_pool.refused */
	struct apd_process *process;
	uint32_t instance;
	uint32_t run; /* its number within the process, the key in its map */
	enum apd_slot_phase phase;
	bool stopping;
	bool asked;
	bool relaxed;
	uint32_t last_commit;
	uint32_t open_commits; /* not yet answered */
	int64_t credit;
	struct apd_message_order order;
};

struct apd_pool {
	struct apd_host host;
	const struct apd_host_config *config;
	uv_loop_t *loop;
	const struct apd_host_sink *sink;
	void *sink_data;
	/* Of no entry, then of each; equal ones are one: the array has pointers to the first. */
	struct apd_confinement *confinements;
	const struct apd_confinement **confined;
	size_t n_confinements; /* in both */
	bool serving; /* agents may be looked up; the sink may be told */
	bool stopping; /* no more sink, no more processes */
	struct apd_deadlines deadlines;
	uv_check_t check;
	uv_idle_t idle;
	unsigned open_handles; /* of these */
	struct apd_list plugins;
	struct apd_map routes;
	struct apd_list notify; /* routes whose queue is worth trying again */
	struct apd_list supply; /* generations that may need another process */
	struct apd_list dirty; /* processes with frames to send */
	struct apd_list refused; /* slots whose run is too large to be sent */
	struct apd_list free_slots;
	unsigned n_free_slots;
	struct apd_json json; /* scratch for what comes from workers */
	struct apd_id_gen random;
	struct apd_scan *scan; /* a reload that goes on, or NULL */
	bool scan_again;
	struct apd_dir_watch *watches; /* of the directories, or NULL */
	size_t n_watches;
	struct apd_deadline changed; /* files changed: looks again when they are left alone */
	struct apd_list all; /* processes that live */
	struct apd_strays strays; /* what they leave behind; unused where they are threads */
	unsigned processes; /* not yet closed */
	struct apd_deadline too_late; /* when stopping: QUIT was not enough */
	pthread_mutex_t mutex; /* of set */
	struct apd_agent_set *set;
	_Atomic uint64_t alive, spawned, crashes, killed, log_dropped; /* [any] */
};

/* generation.c */

struct apd_image *apd_image_create(int memfd, unsigned number, struct apd_description *description);
struct apd_image *apd_image_ref(struct apd_image *image);
void apd_image_unref(struct apd_image *image);
/* Makes a generation of the plugin's image with room for n instances, all zero. */
struct apd_generation *apd_generation_create(struct apd_ward *ward, uint32_t n_instances);
struct apd_generation *apd_generation_ref(struct apd_generation *generation);
void apd_generation_unref(struct apd_generation *generation);
/* It takes no new runs; its processes end when they are empty. */
void apd_generation_retire(struct apd_generation *generation);

/* ward.c */

/* The ward of the plugin's agents that are confined so. */
struct apd_ward *apd_ward_take(
	struct apd_plugin *plugin, const struct apd_confinement *confinement);
/*
 * Gives the ward the generation that is due, which is the ward's now; NULL: none.
 * One that serves goes on until a process of the new one is ready.
 */
void apd_ward_renew(struct apd_ward *ward, struct apd_generation *generation);
/* A process of the ward's next generation is ready: switches to it, or refuses it. */
void apd_ward_switch(struct apd_ward *ward);
/* The next generation is not to serve; the current one goes on. */
void apd_ward_refuse(struct apd_ward *ward, const char *why);
void apd_wards_destroy(struct apd_plugin *plugin);

/* dir_watch.c */

/* Watches the directories from now on, as they are now. */
void apd_watches_renew(struct apd_pool *pool);
/* Starts to close the handles, which open_handles counts. */
void apd_watches_close(struct apd_pool *pool);

/* scan.c */

/* What is called when a scan is over; the plugins have their images and refusals. */
typedef void apd_scanned_cb(struct apd_pool *pool);
/* Looks at the directories and describes on the given loop what is new; calls back from it. */
void apd_scan_start(struct apd_pool *pool, uv_loop_t *loop, struct apd_deadlines *deadlines,
	apd_scanned_cb *done);
/* Kills the workers of a scan that goes on; it ends soon, without calling back. */
void apd_scan_cancel(struct apd_pool *pool);

/* resolve.c */

/*
 * Makes generations and routes of the plugins and the configuration, and
 * publishes them. error: what the configuration names and is not there is
 * written to it and -ENOENT returned; NULL: such agents are broken.
 */
int apd_registry_resolve(struct apd_pool *pool, struct apd_buf *error);
/* Makes the routes to generations anew and publishes them: a ward has switched. */
void apd_registry_reroute(struct apd_pool *pool);
/* True if an entry may mean the file by this name: its own, with or without ".so". */
bool apd_plugin_is_named(const struct apd_plugin *plugin, const char *name);

/* registry.c */

/* Says why the instance cannot be served: its settings or schemas are wrong; else NULL. free() it. */
char *apd_instance_check(const struct apd_instance *instance);
/* Makes the route's agent anew from its instance and its state. */
void apd_route_refresh(struct apd_route *route);
/* Serves an agent as broken that has no instance. config: NULL if there is none. */
void apd_route_break(struct apd_pool *pool, struct apd_route *route,
	const struct apd_agent_config *config, const char *reason);
/* Publishes all routes' agents as a new set. */
void apd_registry_publish(struct apd_pool *pool);
/* The instances' agents anew, published, and all who wait for them told. */
void apd_generation_changed(struct apd_generation *generation);

/* supply.c */

/* A slot is wanted and there is none: checks at the end of this turn. fresh: an unused process. */
void apd_supply_want(struct apd_generation *generation, bool fresh);
/* An unused process was taken for a run of its own: has another ready for the next. */
void apd_supply_ahead(struct apd_generation *generation);
/* Starts a process if there is none, or if one may help who wants a slot. From the loop only. */
void apd_supply_check(struct apd_generation *generation);
/* A process of the generation died unasked, or could not be started. */
void apd_supply_failed(struct apd_generation *generation, bool was_ready, const char *reason);
/* No process of the generation can be confined as it must be: it is broken. */
void apd_supply_unconfined(struct apd_generation *generation, const char *reason);
void apd_supply_succeeded(struct apd_ward *ward);
void apd_supply_init(struct apd_ward *ward);

/* worker_process.c */

int apd_process_start(struct apd_generation *generation);
/* The process has frames in its buffer: they leave at the end of this turn of the loop. */
void apd_process_dirty(struct apd_process *process);
/* Tells it to quit. */
void apd_process_end(struct apd_process *process);
/* Kills it for a run that does not stop. */
void apd_process_fence_kill(struct apd_process *process);
/* A frame of the process's life; a sentence if it breaks the protocol. */
const char *apd_process_hello(struct apd_process *process);
const char *apd_process_created(
	struct apd_process *process, uint32_t instance, struct apd_str payload);

/* worker_watch.c */

void apd_watch_init(struct apd_process *process);
void apd_watch_clear(struct apd_process *process);
/* It has no open slot any more. */
void apd_watch_idle(struct apd_process *process);
/* A reply is due from it. */
void apd_watch_reply(struct apd_process *process);
void apd_watch_pong(struct apd_process *process);

/* frames_in.c */

const char *apd_frames_take(
	struct apd_process *process, const struct apd_frame *frame, struct apd_str payload);

/* pool.c */

/* There is something to do at the end of this turn of the loop. */
void apd_pool_kick(struct apd_pool *pool);

/* slots.c */

extern const struct apd_host_ops apd_pool_ops;
/* Tells the runtime of all slots of a dead process. */
void apd_slots_lost(struct apd_process *process, const char *reason);
/* The run of the slot is over on the worker's side. */
void apd_slot_ended(struct apd_run_slot *slot);
/* The slot of a run's number, or NULL. */
struct apd_run_slot *apd_slot_find(const struct apd_process *process, uint32_t run);
/* Tells the runtime, from the loop, to try the route's queue. */
void apd_route_notify(struct apd_pool *pool, struct apd_route *route);
/* Tells so for the routes of a generation that want a slot. */
void apd_generation_notify(struct apd_generation *generation);
void apd_slots_finish(struct apd_pool *pool);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The device from the inside, for the files of the runtime: everything that touches OpenCL. */
#ifndef CLEF_OPENCL_H
#define CLEF_OPENCL_H

#include <CL/cl.h>

#include "runtime.h"

/* Small buffers have 2^k, 1.25, 1.5 or 1.75 times 2^k bytes, from 2^8 to 2^18. */
#define CLEF__SIZE_CLASSES (4 * 10 + 1)
#define CLEF__STAGES       4
#define CLEF__SIZE_LOGS    40

typedef struct clef__kernel clef__kernel;
typedef struct clef__program clef__program;
typedef struct clef__profile clef__profile;
typedef struct clef__deferred clef__deferred;

struct clef__buffer {
	clef_device *dev; /* held while the buffer is in use, not while it is pooled */
	cl_mem mem;
	size_t start; /* bytes from the beginning of mem */
	size_t bytes;
	int size_class;                /* CLEF__SIZE_CLASSES: a piece of a block */
	int references;                /* 0: in the pool */
	bool stays;                    /* made by clef__buffer_new_whole() */
	clef__buffer *next, *previous; /* in the pool */
	clef__buffer *before, *behind; /* its neighbours in the block */
};

/* Device memory that is not in use, and the account of it: see pool.c. */
typedef struct clef__pool {
	clef__buffer *small[CLEF__SIZE_CLASSES];
	clef__buffer *pieces;                /* of blocks */
	clef__buffer *spare;                 /* structures without memory */
	uint64_t most;                       /* that was ever in use */
	uint64_t pieces_in_use, pieces_most; /* without those that stay */
	uint64_t slack;                      /* bytes that may be pooled beyond `most` */
	bool torn;                           /* blocks had to go because none of them was large enough */
	bool poison;                         /* $CLEF_POISON: fill what is given back with NaN */
} clef__pool;

/* Host memory that an upload in flight reads from. */
typedef struct clef__stage {
	void *data;
	size_t size;
	cl_event done;
} clef__stage;

struct clef_device {
	int references;
	clef_device_info info;
	clef_device_stats stats;
	size_t max_item_size[3];
	cl_device_id id;
	cl_context context;
	cl_command_queue queue;
	void *tape;
	const char *conv; /* see clef__device_set_conv() */
	clef__pool pool;
	clef__stage stage[CLEF__STAGES];
	int next_stage;
	uint64_t launches_done;                           /* stats.launches when the queue was last waited for */
	int unflushed;                                    /* launches since the last flush */
	uint64_t forward_from, forward_launches, touches; /* see clef__device_changes() */
	clef__program *programs;                          /* list */
	clef__kernel **kernels;                           /* hash table, open addressing, a power of two */
	int kernel_capacity, kernel_count;
	clef__deferred *deferred, **deferred_end; /* in order; see deferred.c */
	int deferred_count;
	size_t deferred_bytes; /* of uploads */
	char *cache_folder;    /* NULL: no cache */
	int compile_jobs;      /* programs compiled at a time */
	bool cache_warned;
	uint32_t gemm_checked, gemm_bad;  /* bits by engine */
	int gemm_forced;                  /* engine named by $CLEF_GEMM, or -1 */
	bool uncounted;                   /* what is launched now is no part of stats */
	bool clblast_used, clblast_tuned; /* parameters that are kept have been looked for */
	struct clef__tuning *tuning;
	clef__profile *profile; /* NULL unless profiling */
};

typedef struct clef__text {
	char *data;
	size_t size, capacity;
} clef__text;

struct clef__program {
	clef__program *next;
	char *name, *defines;
	bool exact;
	cl_program program; /* NULL until it is built */
	clef__text key;     /* what the cache knows it by; dropped when it is built or fails */
	size_t source;      /* where in the key its source begins */
	bool wanted;        /* in a list of clef__programs_build() */
	bool aside;         /* another process may have put it into the cache */
};

struct clef__kernel {
	clef__program *program;
	const char *name;
	uint64_t hash;
	cl_kernel kernel;       /* NULL until it is built */
	size_t work_group_size; /* the most that this kernel takes here */
	cl_ulong local_memory;  /* bytes of what it declares itself, without its arguments */
	/* Work-group sizes that are kept for launches of 2^i work-items and more; 0: none; UINT16_MAX: not looked up
	 * since the table of choices was at this change. */
	uint16_t group[CLEF__SIZE_LOGS];
	uint32_t group_of;
};

/* ---- launch.c and launch_tune.c ---- */

/* The work-group size by the rules, and *size as it is kept for the launch, or 0. While problems are collected the
 * launch is held, to be measured afterwards; which fails without memory. */
clef_status clef__launch_now(clef_device *dev, clef__kernel *k, const clef__launch_opts *opts);
/* In the device's stats. */
void clef__count_launch(clef_device *dev, double flops, double bytes);
size_t clef__launch_shipped_group(const clef_device *dev, const clef__kernel *k, const clef__launch_opts *opts);
clef_status clef__launch_group(clef_device *dev, clef__kernel *k, const clef__launch_opts *opts, size_t *size);

/* The name of an OpenCL error code, without "CL_"; "error -1234" for one that is unknown. */
const char *clef__cl_error(cl_int code);

/* Fails naming the OpenCL call, its error and the device; CLEF_ERROR_DEVICE_MEMORY for the codes that mean that. */
clef_status clef__cl_fail(const clef_device *dev, cl_int code, const char *call);

/* Has the driver start on what it holds back. */
void clef__flush(clef_device *dev);
/* Waits until the queue is empty. */
cl_int clef__wait(clef_device *dev);

/* ---- devinfo.c ---- */

/* Fills in all but platform, device and platform_name. False when the device cannot be queried. */
bool clef__device_query(cl_device_id id, clef_device_info *info, size_t max_item_size[3]);

/* ---- device.c ---- */

/* No other is open in this process. */
bool clef__device_is_only_one(void);

/* ---- pool.c ---- */

void clef__pool_open(clef_device *dev);

void clef__pool_free(clef_device *dev);

/* ---- huge_pages.c ---- */

/* For a new buffer. */
void clef__ask_for_huge_pages(clef_device *dev, cl_mem mem, size_t bytes);

/* ---- buffer.c ---- */

void clef__stages_free(clef_device *dev);

/* ---- deferred.c: launches and uploads that wait for kernels to be compiled ---- */

/* Whether this one waits: behind others, or until its kernel, which may be NULL for an upload, is compiled. */
bool clef__defers(const clef_device *dev, const clef__kernel *k);
clef_status clef__defer_launch(clef_device *dev, clef__kernel *k, const clef__launch_opts *opts);
clef_status clef__defer_upload(const clef__buffer *b, size_t offset, const void *data, size_t bytes);

/* Compiles what is missing and enqueues what waits. After a failure what is left of it is dropped. Comes before all
 * that waits for the queue or enqueues past clef__launch(). */
clef_status clef__deferred_run(clef_device *dev);
/* The first `count` that wait, with the programs of all compiled. */
clef_status clef__deferred_run_first(clef_device *dev, int count);
void clef__deferred_free(clef_device *dev);

/* ---- compile.c ---- */

bool clef__is_pocl(const clef_device *dev);

/* Reads $CLEF_COMPILE_JOBS. */
clef_status clef__compile_open(clef_device *dev);

/* Builds the programs, several at a time. Those that fail are left to clef__program_build(), which says why. */
void clef__programs_build(clef_device *dev, clef__program **program, int count);

/* ---- source.c ---- */

/* The key of the cache is all that the binary depends on; the source stands at its end, behind *prefix bytes. */
clef_status clef__source_key(const clef_device *dev, const char *name, const char *defines, bool exact, clef__text *key,
			     size_t *prefix);
const char *clef__build_options(bool exact);

/* ---- program.c ---- */

/* The kernel, which may have to be built before its use. NULL on failure. */
clef__kernel *clef__kernel_find(clef_device *dev, const clef__launch_opts *opts);
clef_status clef__kernel_build(clef_device *dev, clef__kernel *k);
clef_status clef__program_build(clef_device *dev, clef__program *p);
void clef__program_build_aside(clef_device *dev, clef__program *p);
void clef__programs_free(clef_device *dev);

/* All that the results of a program may depend on, in one number: device, driver and source. */
clef_status clef__program_hash(clef_device *dev, const char *program, uint64_t *hash);

/* ---- cache.c: compiled programs on disk ---- */

/* Finds the folder for dev->cache_folder. */
void clef__cache_open(clef_device *dev);

/* The binary stored under the key, in memory to be freed, or NULL when there is none that is whole. */
unsigned char *clef__cache_load(clef_device *dev, const char *key, size_t key_size, size_t *size);

/* Stores a binary. Cannot fail: if the disk does not take it, warns once. */
void clef__cache_store(clef_device *dev, const char *key, size_t key_size, const unsigned char *binary, size_t size);

/* ---- profile.c ---- */

clef__profile *clef__profile_new(void);
/* Takes over the event of a launch. */
void clef__profile_event(clef__profile *profile, const char *label, cl_event event, double bytes, double flops);
/* Adds a call timed on the host. */
void clef__profile_time(clef__profile *profile, const char *label, double seconds, double bytes, double flops);
/* Prints the table to standard error and frees the profile. */
void clef__profile_close(clef_device *dev);

/* ---- probe.c ---- */

/* What the device reaches in copying and in multiply-adds: the limits in the profile. Takes up to a second. */
clef_status clef__probe(clef_device *dev, double *bytes_per_second, double *flops_per_second);

/* ---- gemm.c ---- */

/* Reads $CLEF_GEMM, and checks the engine that products will use. Wants all else of the device to be ready. */
clef_status clef__gemm_open(clef_device *dev);
void clef__gemm_close(clef_device *dev);

#endif
